"""What the passes from L0 to L1 share: findings that wait for the end, so that one run reports everything, and checks of constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import constant, is_refused, pass_over, refuse
from qnn_deploy.ir.levels import Level, verify
from qnn_deploy.passes._base import LevelPass

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


def integer_weights(node: ir.Node, value: ir.Value | None) -> NDArray[np.float32] | QnnDeployError:
    """The weights of a reduction in float32, each an integer; or why they are not that (QD0305, QD0307)."""
    array = constant(value)
    if array is None:
        assert value is not None
        return _not_constant(node, value)
    weights = array.astype(np.float32)
    if not bool(np.isfinite(weights).all()):
        return refuse(node, "QD0305", "the weights hold NaN or Inf")
    rounded = np.rint(weights)
    if np.array_equal(rounded, weights):
        return weights
    rows = np.abs(weights).reshape(len(weights), -1)
    largest = rows.max(axis=1, keepdims=True)
    if bool(np.all((rows == largest) | (rows == 0))):
        return refuse(
            node,
            "QD0305",
            "the weights are a scale times integers: torch sums rounded products, in an order of its own",
            "keep the scale apart, conv(x, sign(w)) * scale: then the sum runs over integers",
        )
    if bool(np.all(np.abs(weights - rounded) < 1e-3)):
        return refuse(
            node,
            "QD0305",
            "the weights are close to integers but not equal: a straight-through trick such as q(w).detach() - w.detach() + w rounds",
            "use qnn_deploy.nn.functional.sign, or a torch.autograd.Function that returns the integers themselves",
        )
    return refuse(
        node,
        "QD0307",
        "the weights are not integers, so the reduction runs over floats",
        "quantise the layer: qnn_deploy.nn.layers.QuantConv2d or QuantLinear with Int8Weight or BinaryWeight",
    )


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


def integer_bias(node: ir.Node, value: ir.Value | None) -> NDArray[np.float32] | QnnDeployError | None:
    """The bias inside a reduction as [C] or [1] integers, None where there is none or it is 0; or why it cannot be (QD0307)."""
    if value is None:
        return None
    array = constant(value)
    if array is not None and not array.any():
        return None
    if array is None or not np.array_equal(np.rint(array), array):
        return refuse(
            node,
            "QD0307",
            "the bias is not integer-valued, and torch adds it inside the float32 sum, where the order of the terms shows",
            "bias=False: a BatchNorm behind the layer has the same effect; or add the bias behind the layer, as QuantLinear does",
        )
    return np.ascontiguousarray(array.reshape(-1).astype(np.float32))
