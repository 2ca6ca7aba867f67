"""What the activations of a network are on data: the canonical graph (L1) in float32, for the scales that `passes` choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from qnn_deploy import data as datasets
from qnn_deploy.errors import UserError
from qnn_deploy.evaluate.reference import CHUNK
from qnn_deploy.evaluate.subjects import check_input, input_of
from qnn_deploy.ir.levels import attributes_of, op_of
from qnn_deploy.ops._base import Array, Attributes
from qnn_deploy.ops._window import correlate
from qnn_deploy.ops.conv_transpose import spread
from qnn_deploy.passes.quantise_activations import ACTIVATIONS, Calibration, Observe, Observed

if TYPE_CHECKING:
    from qnn_deploy.frontend import LoadedModel

# Values of each tensor that are kept of a chunk.
_SAMPLE = 4096
# The references of these refuse what is no integer.
_REDUCTIONS: Mapping[str, Callable[[Sequence[Array], Attributes], Array]] = {
    "Conv": lambda inputs, attributes: correlate(inputs[0], inputs[1], attributes, "float32"),
    "ConvTranspose": lambda inputs, attributes: spread(inputs[0], inputs[1], attributes, "float32"),
    "Gemm": lambda inputs, attributes: inputs[0] @ inputs[1].T,
    "SumPool": lambda inputs, attributes: np.asarray(inputs[0].sum(axis=(2, 3))),
}


def calibration_for(
    loaded: LoadedModel, spec: str, count: int, activations: str, progress: Callable[[str], None] = lambda stage: None
) -> Calibration:
    """The calibration of ``loaded`` on ``count`` training images of the data set ``spec``.

    Raises:
        UserError: QD0106 for unknown ``activations`` or no images, and as `calibration_images`.
    """
    if activations not in ACTIVATIONS:
        raise UserError("QD0106", f"activations are {' or '.join(ACTIVATIONS)}, not {activations!r}")
    if count < 1:
        raise UserError("QD0106", f"calibration takes at least one image, not {count}")
    return Calibration(activations, observer(calibration_images(spec, count, *input_of(loaded)), progress))


def calibration_images(spec: str, count: int, shape: tuple[int, int, int], dtype: str) -> Array:
    """``count`` training images of the data set ``spec``, evenly spread over it (all where it has fewer).

    Raises:
        UserError: QD0203 where they are not found, QD0104 where they do not fit the model's input, QD0310 where they are all of one value.
    """
    images = datasets.load(spec, "train").images
    check_input(images, shape, dtype, f"--calibrate {spec}")
    chosen = images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]
    if chosen.min() == chosen.max():
        message = f"every value of the calibration data is {chosen.min()}: no scale follows from them"
        raise UserError("QD0310", message, where=f"--calibrate {spec}", help="give images such as those that the network was trained on")
    return chosen


def observer(images: Array, progress: Callable[[str], None] = lambda stage: None) -> Observe:
    """Runs an L1 graph over ``images`` in float32 and tells what the named values were."""

    def observe(model: ir.Model, names: Sequence[str]) -> Mapping[str, Observed]:
        progress(f"calibrate on {len(images)} images")
        largest, samples = dict.fromkeys(names, 0.0), {name: [] for name in names}  # type: ignore[var-annotated]
        for start in range(0, len(images), CHUNK):
            for name, found in _run(model.graph, images[start : start + CHUNK], set(names)).items():
                largest[name] = max(largest[name], float(np.abs(found).max())) if np.isfinite(found).all() else np.inf
                flat = found.reshape(-1)
                samples[name].append(flat[:: max(1, flat.size // _SAMPLE)])
        return {name: Observed(largest[name], np.concatenate(samples[name]).astype(np.float32)) for name in names}

    return observe


def _run(graph: ir.Graph, x: Array, names: set[str]) -> dict[str, Array]:
    values: dict[ir.Value, Array] = {graph.inputs[0]: x}
    last_use = {value: node for node in graph for value in node.inputs if value is not None}
    kept = {}
    for node in graph:
        inputs = [values[each] if each.const_value is None else each.const_value.numpy() for each in node.inputs if each is not None]
        result = _REDUCTIONS.get(node.op_type, op_of(node).reference)(inputs, attributes_of(node))
        values[node.outputs[0]] = result
        if node.outputs[0].name in names:
            kept[node.outputs[0].name or ""] = result
        for value in node.inputs:
            if value is not None and last_use[value] is node:
                values.pop(value, None)
    return kept
