"""Every operator of the canonical and exact levels, one file each, in one table."""

from __future__ import annotations

from collections.abc import Mapping

from qnn_deploy.ops import (
    batch_norm,
    bias,
    binary_conv,
    binary_dense,
    bipolar_max_pool,
    conv,
    dense,
    multi_threshold,
    onnx_add,
    onnx_batch_normalization,
    onnx_cast,
    onnx_clip,
    onnx_concat,
    onnx_conv,
    onnx_flatten,
    onnx_gemm,
    onnx_max_pool,
    onnx_relu,
    onnx_sign,
    pad,
    prelu,
    quantize,
    scale,
    sign,
    subtract_zero,
    sum_pool,
    threshold,
)
from qnn_deploy.ops._base import OpDef

ALL: tuple[OpDef, ...] = (
    subtract_zero.OP,
    pad.OP,
    conv.OP,
    binary_conv.OP,
    dense.OP,
    binary_dense.OP,
    threshold.OP,
    multi_threshold.OP,
    bipolar_max_pool.OP,
    batch_norm.OP,
    scale.OP,
    bias.OP,
    prelu.OP,
    sign.OP,
    quantize.OP,
    sum_pool.OP,
    onnx_conv.OP,
    onnx_gemm.OP,
    onnx_batch_normalization.OP,
    onnx_max_pool.OP,
    onnx_add.OP,
    onnx_relu.OP,
    onnx_clip.OP,
    onnx_flatten.OP,
    onnx_concat.OP,
    onnx_sign.OP,
    onnx_cast.OP,
)

BY_KEY: Mapping[tuple[str, str], OpDef] = {op.key: op for op in ALL}
