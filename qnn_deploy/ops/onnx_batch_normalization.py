"""ONNX BatchNormalization, computed as torch's CPU kernel does (ONNX leaves the order of operations open)."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, per_channel, require
from qnn_deploy.ops._fma import fma
from qnn_deploy.ops.batch_norm import fold_batchnorm


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, *parameters = inputs
    require(x.dtype == "float32" and len(x.shape) >= 2, f"the input is {x.dtype} of {len(x.shape)} axes, not float32 with a channel axis")
    for name, spec in zip(("scale", "bias", "mean", "var"), parameters, strict=True):
        require(
            spec.dtype == "float32" and spec.shape == (x.shape[1],),
            f"{name} is {spec.dtype} {list(spec.shape)}, not float32 [{x.shape[1]}]",
        )
    return x


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, gamma, beta, mean, var = inputs
    a, b = fold_batchnorm(gamma, beta, mean, var, attributes["epsilon"])
    return fma(x, per_channel(a, x.ndim), per_channel(b, x.ndim))


OP = OpDef(
    "",
    "BatchNormalization",
    infer,
    reference,
    doc="Inference BatchNorm by torch's formula: a = gamma / sqrt(var + eps), fma(x, a, fma(-mean, a, beta)).",
)
