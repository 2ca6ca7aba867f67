"""The same network elsewhere, for `bench --peers`: Larq Compute Engine, TFLite, ONNX Runtime; fp32 on ONNX Runtime comes last."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qnn_deploy.emit import lce_tflite
from qnn_deploy.errors import QnnDeployError
from qnn_deploy.evaluate import lce
from qnn_deploy.evaluate.bench import Measure, measure_onnx, measure_tflite
from qnn_deploy.evaluate.float_twin import float_twin
from qnn_deploy.evaluate.int8_twin import int8_twin
from qnn_deploy.evaluate.tflite_twin import tflite_twin

if TYPE_CHECKING:
    from qnn_deploy.evaluate.subjects import Packed
    from qnn_deploy.passes.pipeline import Lowered


def peers(lowered: Lowered, title: str, packed: Packed) -> tuple[list[tuple[dict[str, Any], Measure]], list[str]]:
    """(row heads and measures, as `bench.interleave` takes them; a line for each peer of TFLite that cannot run, with the reason).

    Larq Compute Engine runs the network folded as its own converter folds it, which is quicker than our exact file.

    Raises:
        UserError: QD0111 where ONNX Runtime is not installed.
    """
    rows: list[tuple[dict[str, Any], Measure]] = []
    missing = []
    models: tuple[tuple[str, str, str, Callable[[], bytes]], ...] = (
        (title, "LCE", "indirect", lambda: lce_tflite.encode(lowered.model, exact=False)),
        (f"{title} in fp32", "TFLite", "XNNPACK", lambda: tflite_twin(lowered.l1)),
    )
    for name, runner, kernels, encode in models:
        try:
            measure = measure_tflite(lce.find(), encode(), *packed.input, packed.program.macs)
            rows.append(({"name": name, "runner": runner, "kernels": kernels}, measure))
        except QnnDeployError as error:
            missing.append(f"{name} on {runner}: {error.message}; {error.help}")
    twin = float_twin(lowered.l1)
    for form, model in (("u8s8", int8_twin(twin)), ("fp32", twin)):
        head = {"name": f"{title} in {form}", "runner": "onnxruntime", "kernels": "default"}
        rows.append((head, measure_onnx(model, packed.input[0], packed.program.macs)))
    return rows, missing
