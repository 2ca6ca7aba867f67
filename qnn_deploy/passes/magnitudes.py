"""A bound on the absolute value of every tensor of an L1 graph, streams included (`ranges` knows integers only, but exactly)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ops._base import DOMAIN
from qnn_deploy.ops.batch_norm import fold_batchnorm
from qnn_deploy.passes.ranges import Ranges, analyse

# Covers the roundings of a step; a reduction of up to 2^24 terms in any order stays below it too.
_SLACK = 1.01


def magnitudes(graph: ir.Graph) -> dict[ir.Value, float]:
    """Upper bounds, infinite where nothing is known."""
    ranges = analyse(graph)
    bounds: dict[ir.Value, float] = {}
    for node in graph:
        bounds[node.outputs[0]] = _bound(node, bounds, ranges) * _SLACK
    return bounds


def _bound(node: ir.Node, bounds: dict[ir.Value, float], ranges: Ranges) -> float:
    span = ranges.get(node.outputs[0])
    if span is not None:
        return float(span.largest)
    inputs = [value for value in node.inputs if value is not None]
    x = bounds.get(inputs[0], np.inf)
    constants = [np.abs(value.const_value.numpy().astype(np.float64)) for value in inputs if value.const_value is not None]
    kind = node.op_type
    if kind in ("Relu", "MaxPool", "Flatten", "Rearrange", "Squeeze"):
        return x
    if kind in ("Add", "Concat"):
        parts = [bounds.get(value, np.inf) for value in inputs]
        return sum(parts) if kind == "Add" else max(parts)
    if kind == "Clip":
        return min(x, float(max(constants[0], constants[1])))
    if kind == "PRelu":
        return x * max(1.0, float(constants[0].max()))
    if kind == "Scale":
        return x * float(constants[0].max())
    if kind == "Bias":
        return x + float(constants[0].max())
    if kind == "BatchNormalization":
        gamma, beta, mean, var = (value.const_value.numpy() for value in inputs[1:])  # type: ignore[union-attr]
        a, b = fold_batchnorm(gamma, beta, mean, var, node.attributes["epsilon"].as_float())
        return float((np.abs(a.astype(np.float64)) * x + np.abs(b)).max()) if np.isfinite(x) else np.inf
    if kind in ("Conv", "ConvTranspose", "Gemm"):
        return x * float(constants[0].reshape(len(constants[0]), -1).sum(axis=1).max())
    if kind == "Sign" and node.domain != DOMAIN:
        return 1.0
    return np.inf
