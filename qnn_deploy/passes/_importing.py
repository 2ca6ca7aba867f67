"""What the passes from L0 to L1 share: findings that wait for the end, so that one run reports everything, and checks of constants."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import DOMAIN, add_initializer, constant, insert_after, is_refused, pass_over, refuse, supersede
from qnn_deploy.ir.levels import Level, verify
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.departures import depart

_FINDINGS = "qnn_deploy.findings"


class ImportPass(LevelPass):
    """A pass on L0. Its findings are kept with the model; `RefuseRest` raises them together with its own.

    A pass leaves what it cannot rewrite in place: values keep the types that the exporter gave them, so that the passes behind it go on.
    """

    reads = Level.L0
    writes = Level.L0

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        self.findings = []
        modified = self.rewrite(model)
        findings_of(model).extend(self.findings)
        verify(model, self.writes)
        return ir.passes.PassResult(model, modified)


def findings_of(model: ir.Model) -> list[QnnDeployError]:
    """The findings of the passes so far."""
    findings: list[QnnDeployError] = model.meta.setdefault(_FINDINGS, [])
    return findings


def channel_vector(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """``array`` as [C] or [1] values along axis 1 of a tensor of ``shape``; None where it differs along another axis. +0 and -0 differ."""
    if array.ndim > len(shape):
        return None
    array = array.reshape((1,) * (len(shape) - array.ndim) + array.shape).astype(np.float32)
    if any(size not in (1, wanted) for size, wanted in zip(array.shape, shape, strict=True)):
        return None
    vector = array[(slice(0, 1), slice(None), *[slice(0, 1)] * (len(shape) - 2))]
    if np.broadcast_to(vector, array.shape).tobytes() != array.tobytes():
        return None
    flat = np.ascontiguousarray(vector.reshape(-1))
    bits = flat.view(np.int32)
    return flat[:1] if bool(np.all(bits == bits[0])) else flat


def power_of_two(value: float) -> bool:
    """True where multiplying by 1 / value gives what dividing by value gives, in binary32."""
    mantissa, exponent = np.frexp(np.float32(value))
    return bool(abs(mantissa) == 0.5) and -125 <= int(exponent) <= 126


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of a reduction, ``integers * scale`` (float32, [out, ...] and [out] or [1]; scale None: 1).

    ``departs``: why torch's sum is not the integer sum times the scale in every bit; empty where it is.
    ``island``: they are floats of no such form, and so is the sum.
    """

    integers: NDArray[np.float32]
    scale: NDArray[np.float32] | None = None
    departs: str = ""
    island: bool = False


def island_weights(node: ir.Node, value: ir.Value | None, axis: int = 0) -> Weights | QnnDeployError:
    """`integer_weights`, or the floats that they are, for a float island."""
    array = constant(value)
    found = integer_weights(node, value, axis)
    if array is None or not isinstance(found, QnnDeployError) or found.code != "QD0307":
        return found
    return Weights(array.astype(np.float32), island=True)


def integer_weights(node: ir.Node, value: ir.Value | None, axis: int = 0) -> Weights | QnnDeployError:
    """The weights of a reduction as integers and a scale along ``axis``; or why they are not that (QD0305, QD0307)."""
    array = constant(value)
    if array is None:
        assert value is not None
        return _not_constant(node, value)
    weights = array.astype(np.float32)
    if not bool(np.isfinite(weights).all()):
        return refuse(node, "QD0305", "the weights hold NaN or Inf")
    if np.array_equal(np.rint(weights), weights):
        return Weights(weights)
    found = split_scale(np.moveaxis(weights, axis, 0))
    if found is not None:
        integers, scale = np.moveaxis(found[0], 0, axis), found[1]
        product = np.moveaxis(found[0] * scale.reshape(-1, *[1] * (weights.ndim - 1)), 0, axis)
        if np.array_equal(product, weights) and all(power_of_two(float(each)) for each in scale):
            return Weights(integers, scale)
        rounded = "" if np.array_equal(product, weights) else f", off by up to {float(np.abs(product - weights).max()):.2g},"
        return Weights(integers, scale, f"the weights are a scale times integers{rounded} and torch sums the rounded products")
    return refuse(
        node,
        "QD0307",
        "the weights are not integers, nor a scale per output channel times integers, so the reduction runs over floats",
        "quantise the layer: qnn_deploy.nn.layers.QuantConv2d or QuantLinear with Int8Weight or BinaryWeight",
    )


def split_scale(weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """``weights`` [out, ...] as (integers of int8, scale [out] or [1]); None where they are no such product.

    A quotient may be off an integer by the roundings of ``s * q - w + w``, a few units in the last place of 1. What has few levels is
    looked for from the smallest one, what has many from the smallest step between two.
    """
    rows = weights.reshape(len(weights), -1)
    for parts in (rows.reshape(1, -1), rows):
        scales = [_scale_of(part) for part in parts]
        if None in scales:
            continue
        scale = np.array(scales, np.float32)
        integers = np.rint(weights / scale.reshape(-1, *[1] * (weights.ndim - 1))).astype(np.float32)
        return integers + 0, scale  # no -0
    return None


_CLOSE = 1e-5
_FEW, _MANY = 15, 127


def _scale_of(row: NDArray[np.float32]) -> float | None:
    """The largest s for which every element of ``row`` is an integer multiple of s; 1 where all are 0."""
    magnitudes = np.unique(np.abs(row.astype(np.float64)))
    magnitudes = magnitudes[magnitudes > 0]
    if not len(magnitudes):
        return 1.0
    candidates = [(magnitudes[0] / divisor, _FEW) for divisor in range(1, _FEW + 1)]
    if len(magnitudes) > _FEW // 2:  # so many that numbers at random would not pass
        candidates.append((float(np.diff(magnitudes, prepend=0).min()), _MANY))
    for scale, levels in candidates:
        ratio = magnitudes / scale
        if ratio[-1] < levels + 0.5 and bool(np.all(np.abs(ratio - np.rint(ratio)) <= _CLOSE * ratio)):
            # Roundings scatter the elements around their multiples: the middle one of the largest level is the best known.
            level = np.rint(ratio[-1])
            largest = np.sort(np.abs(row)[np.rint(np.abs(row) / scale) == level])
            return float(largest[len(largest) // 2] / np.float32(level))
    return None


def _not_constant(node: ir.Node, value: ir.Value) -> QnnDeployError:
    """The weights are an expression that was not folded; its nodes are marked so that they are not reported as well."""
    names: list[str] = []
    work = [value]
    while work:
        producer = work.pop().producer()
        if producer is not None and not is_refused(producer):
            pass_over(producer)
            names.append(producer.op_type)
            work.extend(each for each in producer.inputs if each is not None)
    return refuse(
        node,
        "QD0305",
        f"the weights are not constant integers: they are computed by {', '.join(dict.fromkeys(names)) or 'the network itself'}",
        "a scale such as the mean of |w| belongs behind the layer, conv(x, sign(w)) * scale, as a stored tensor",
    )


def constant_bias(node: ir.Node, value: ir.Value | None) -> NDArray[np.float32] | QnnDeployError | None:
    """The bias inside a reduction as [C] or [1] numbers, None where there is none or it is 0; or why it cannot be (QD0305)."""
    if value is None:
        return None
    array = constant(value)
    if array is None:
        return refuse(node, "QD0305", "the bias is not constant: it is computed by the network itself", "add it behind the layer")
    if not bool(np.isfinite(array).all()):
        return refuse(node, "QD0305", "the bias holds NaN or Inf")
    return np.ascontiguousarray(array.reshape(-1).astype(np.float32)) if array.any() else None


def put_reduction(graph: ir.Graph, node: ir.Node, reduction: ir.Node, weights: Weights, bias: NDArray[np.float32] | None) -> ir.Node:
    """The scale and the bias of a reduction behind its sum of integers, in the place of ``node``; notes what departs from torch."""
    last, name = reduction, node.outputs[0].name
    if weights.island:
        depart(graph, node, _ISLAND, _QUANTISED)
        if bias is not None:
            last = insert_after(last, "Bias", [last.outputs[0], add_initializer(graph, f"{name}_bias", bias)], {}, domain=DOMAIN)
        supersede(node, last)
        return last
    departs = [weights.departs] if weights.departs else []
    unit = np.ones(1, np.float32) if weights.scale is None else weights.scale
    if bias is not None and not weights.departs and not np.array_equal(np.rint(bias / unit) * unit, bias):
        departs.append("the bias is no multiple of the sum's unit and torch adds it inside the sum, in an order of its own")
    if departs:
        depart(graph, node, f"{'; '.join(departs)}. The artefacts sum integers, then scale, then add", _APART)
    if weights.scale is not None:
        last = insert_after(last, "Scale", [last.outputs[0], add_initializer(graph, f"{name}_scale", weights.scale)], {}, domain=DOMAIN)
    if bias is not None:
        last = insert_after(last, "Bias", [last.outputs[0], add_initializer(graph, f"{name}_bias", bias)], {}, domain=DOMAIN)
    supersede(node, last)
    return last


_ISLAND = (
    "its weights are floats: torch sums products in an order of its own, the artefacts by channel, row and column of the kernel, each "
    "product and each sum rounded (a float island)"
)
_QUANTISED = "quantise the layer (qnn_deploy.nn.layers.QuantConv2d or QuantLinear with Int8Weight or BinaryWeight)"
_APART = "write conv(x, sign(w)) * scale + bias, with the scale and the bias behind the layer, and bias=False inside"
