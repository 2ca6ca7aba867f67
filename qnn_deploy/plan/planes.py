"""Which maps of the exact graph are stored as ternary digits in two bit-planes, and which form the weights of a layer take."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import constant_input
from qnn_deploy.ir.program import WEIGHT_BITS, DType, Weights, smallest_weights
from qnn_deploy.plan.groups import CONVOLUTIONS

# Sums of ternary digits are kept in 16 bits.
MOST_DIGITS = 2**15 - 1
# Up to here a layer that reads pixels keeps int8 weights, whose kernel is faster: at most 4 kB.
_FEW_WEIGHTS = 4096
# What gives values of its input.
_FOLLOW = ("BipolarMaxPool", "Flatten", "Rearrange")
_LARGEST = {DType.U8: 255, DType.I8: 128, DType.I16: 32768, DType.BITS: 1, DType.TRITS: 1}


def weights_form(weights: NDArray[np.int8], source: DType, groups: int = 1) -> Weights:
    """The smallest form that holds ``weights`` [O, taps, C / groups] of a layer that reads ``source``."""
    channels, planes = weights.shape[2], source in (DType.BITS, DType.TRITS)
    if source == DType.U8 and weights.size <= _FEW_WEIGHTS:
        return Weights.INT8
    # Kernels of bit-planes know whole bytes of channels only.
    if groups > 1 and channels > 1 and planes and channels % 8:
        return Weights.INT8
    smallest = smallest_weights(weights)
    if not planes or (groups > 1 and channels == 1):
        return smallest
    return {Weights.MASKS: Weights.TRITS, Weights.INT4: Weights.INT8}.get(smallest, smallest)


def most_terms(kind: Weights, source: DType) -> int:
    """The most terms whose sum stays inside what the kernels keep it in, whatever the values: 16 bits for bit-planes, else int32."""
    bits, planes = WEIGHT_BITS[kind], source in (DType.BITS, DType.TRITS)
    if planes and bits <= 2:
        return 65535 if bits == 1 and source == DType.BITS else MOST_DIGITS
    return (2**31 - 1) // (_LARGEST[source] * (1 if bits <= 2 else 2 ** (bits - 1)))


def ternary_maps(graph: ir.Graph) -> set[ir.Value]:
    """The values of -1, 0 and +1 that only readers of bit-planes read: layers with binary or ternary weights, directly or behind pools."""
    digits: set[ir.Value] = set()
    for node in graph:
        value = node.outputs[0]
        follows = node.op_type in _FOLLOW and node.inputs[0] in digits
        if (follows or _gives_digits(node)) and _only_planes_read(value):
            digits.add(value)
    return digits


def _gives_digits(node: ir.Node) -> bool:
    if node.op_type == "Quantize":
        return node.attributes["low"].as_int() >= -1 and node.attributes["high"].as_int() <= 1
    if node.op_type == "MultiThreshold":
        low, count = node.attributes["low"].as_int(), len(constant_input(node, 1))
        return low >= -1 and low + count <= 1
    return False


def _holds_digits(value: ir.Value | None) -> bool:
    """True for values of -1, 0 and +1, or of the latter two only."""
    node = value.producer() if value is not None else None
    if node is None:
        return False
    if node.op_type in _FOLLOW:
        return _holds_digits(node.inputs[0])
    if node.op_type == "Concat":
        return all(map(_holds_digits, node.inputs))
    return node.op_type in ("Sign", "Threshold") or _gives_digits(node)


def _only_planes_read(value: ir.Value) -> bool:
    uses = list(value.uses())
    return bool(uses) and not value.is_graph_output() and all(_reads_planes(use.node) for use in uses)


def _reads_planes(node: ir.Node) -> bool:
    if node.op_type in _FOLLOW:
        return _only_planes_read(node.outputs[0])
    if node.op_type == "Concat":
        return all(_holds_digits(value) for value in node.inputs) and _only_planes_read(node.outputs[0])
    if node.op_type not in CONVOLUTIONS or ("group" in node.attributes and node.attributes["group"].as_int() != 1):
        return False
    weights = constant_input(node, 1)
    if weights.dtype == np.uint8:
        return int(weights.shape[1]) * 8 <= MOST_DIGITS
    return int(np.abs(weights).max()) <= 1 and int(weights[0].size) <= MOST_DIGITS
