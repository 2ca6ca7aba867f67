"""The fp32 twin (`float_twin`) as TFLite: what a user without binary layers would run with XNNPACK, as a peer for speed.

BatchNorm and ReLU are folded into the convolutions, as TFLite's own converter does. Its answers mean nothing.
"""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.emit.lce_tflite import HANDLERS, Handler, Lowering

_HANDLERS: dict[str, Handler] = {
    **HANDLERS,
    "Sign": HANDLERS["Relu"],
    "Quantize": HANDLERS["Cast"],  # nothing
    "Gemm": HANDLERS["Dense"],
    "BatchNormalization": HANDLERS["BatchNorm"],
}


def tflite_twin(l1: ir.Model) -> bytes:
    """The fp32 network of a canonical graph (L1) as a ``.tflite``, without custom operators.

    Raises:
        CompileErrors: QD0311 for an operator that has no counterpart here.
        UserError: QD0111 where the schema's package is not installed.
    """
    return Lowering(l1.graph, _HANDLERS, exact=False, rectifiers=("Relu", "Sign")).encode()
