"""The fp32 twin quantised to 8 bits as ONNX Runtime's own tool does it: what a user without binary layers would run, as a peer for speed.

Unsigned activations and signed weights, the fast case on x86; scales are those of one image of noise. Its answers mean nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from qnn_deploy.errors import UserError


def int8_twin(twin: bytes) -> bytes:
    """The fp32 network (`float_twin`) with QuantizeLinear and DequantizeLinear around its convolutions and dense layers, as ONNX bytes.

    Raises:
        UserError: QD0111 where ONNX Runtime's quantiser is not installed.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise UserError("QD0111", "this needs ONNX Runtime", help='pip install "qnn-deploy[ort]"') from error

    class Noise(CalibrationDataReader):
        def __init__(self, value: Any) -> None:
            shape = [max(dimension.dim_value, 1) for dimension in value.type.tensor_type.shape.dim]
            self.batches = [{value.name: np.random.default_rng(0).integers(0, 256, shape, np.uint8)}]

        def get_next(self) -> Any:
            return self.batches.pop() if self.batches else None

    with tempfile.TemporaryDirectory(prefix="qnn-deploy-") as name:
        source, ready, done = (Path(name) / f"{stage}.onnx" for stage in ("source", "ready", "done"))
        source.write_bytes(twin)
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)  # folds each BatchNorm into its convolution
        graph = onnx.load(str(ready)).graph
        # One that is left runs in fp32, as it would between two conversions: the tool looks for channels on a second axis of its scale.
        left = [node.name for node in graph.node if node.op_type == "BatchNormalization"]
        arguments = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "quant_format": QuantFormat.QDQ}
        quantize_static(str(ready), str(done), Noise(graph.input[0]), per_channel=True, nodes_to_exclude=left, **arguments)
        return done.read_bytes()
