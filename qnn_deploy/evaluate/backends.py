"""Everything that computes logits from images: each is a function from images [N, C, H, W] to float32 [N, classes], or of a map to
[N, classes, H, W]. Sides of 1 at the end are left out of what comes out, and may be left out of what goes in.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.errors import QnnDeployError, ToolchainError, UserError
from qnn_deploy.evaluate.reference import in_shape
from qnn_deploy.files import scratch
from qnn_deploy.toolchain.runner import LocalRunner, Runner

Logits = NDArray[np.float32]
Predict = Callable[[NDArray[Any]], Logits]

# An int32 logit up to here is a float32 without rounding.
_EXACT = 2**24
_ONNX_BATCH = 50
# Images for which another process is worth its start.
_SHARE = 32
_NO_KERNELS = re.compile(r"this machine or build has no \w+ kernels")
_BAD_INPUT = 2


class KernelsMissingError(ToolchainError):
    """The machine (or emulator) does not have the kernel family asked for."""


@dataclasses.dataclass(frozen=True)
class Backend:
    """One artefact on one runner with one kernel family.

    Attributes:
        limit: how many images of a data set it is asked for (slow ones get fewer); None for all.
        predict: the function; None where it cannot run, ``not_run`` says why.
        diagnose: image [1, C, H, W] -> where it first leaves the exact graph, as text; None where that is not known how.
        layers: image [1, C, H, W] -> per operator the number of elements that differ from the reference; None for no operators.
    """

    artefact: str
    runner: str
    kernels: str
    limit: int | None
    predict: Predict | None
    not_run: str = ""
    diagnose: Callable[[NDArray[Any]], str] | None = None
    layers: Callable[[NDArray[Any]], list[dict[str, Any]]] | None = None


def as_float(logits: NDArray[Any]) -> Logits:
    """Integer logits as float32, exactly; float32 logits as they are. Without sides of 1 at the end, so that a signal is one everywhere.

    Raises:
        QnnDeployError: QD0901 for integers that float32 does not hold (the compiler refuses such layers).
    """
    while logits.ndim > 2 and logits.shape[-1] == 1:
        logits = logits[..., 0]
    if logits.dtype == np.float32:
        return logits
    if logits.size and int(np.abs(logits.astype(np.int64)).max()) > _EXACT:
        raise QnnDeployError("QD0901", f"a logit beyond 2^24: {int(np.abs(logits.astype(np.int64)).max())}")
    return logits.astype(np.float32)


def onnx_session(model: bytes, where: str = "model.onnx", *, optimise: bool = False) -> Any:
    """A single-threaded session of stock ONNX Runtime; without its optimiser, which may fold BatchNorm and lose exactness.

    Raises:
        UserError: QD0111 where ONNX Runtime is not installed, QD0101 where it refuses the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("QD0111", "this needs ONNX Runtime", help='pip install "qnn-deploy[ort]"') from error
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exception classes are not public
        raise UserError("QD0101", f"ONNX Runtime refuses the model: {str(error).splitlines()[0]}", where=where) from error


def predict_onnx(model: bytes, where: str = "model.onnx") -> Predict:
    """`Predict` on stock ONNX Runtime without optimisation."""
    session = onnx_session(model, where)
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape[1:]

    def predict(images: NDArray[Any]) -> Logits:
        images = in_shape(images, shape)
        batches = (np.ascontiguousarray(images[i : i + _ONNX_BATCH]) for i in range(0, len(images), _ONNX_BATCH))
        return as_float(np.concatenate([session.run(None, {name: batch})[0] for batch in batches]))

    return predict


def predict_qdm(runner: Runner, program: Path, model: bytes, kernels: str = "auto") -> Predict:
    """`Predict` by ``qd_run`` (the executable ``program``) on ``runner``, on this machine one process per core."""

    def part(images: NDArray[Any]) -> NDArray[Any]:
        with scratch() as folder:
            call_qd_run(runner, program, model, images, kernels, folder)
            result: NDArray[Any] = np.load(folder / "logits.npy", allow_pickle=False)
            return result

    def predict(images: NDArray[Any]) -> Logits:
        count = min(os.cpu_count() or 1, -(-len(images) // _SHARE)) if isinstance(runner, LocalRunner) else 1
        with ThreadPoolExecutor(count) as pool:
            return as_float(np.concatenate(list(pool.map(part, np.array_split(images, count)))))

    return predict


def call_qd_run(
    runner: Runner, program: Path, model: bytes, images: NDArray[Any], kernels: str, folder: Path, *, dump: bool = False
) -> None:
    """Run ``images`` in ``folder``: ``logits.npy`` is there afterwards, and with ``dump`` a folder ``dump`` with each operator's output.

    Raises:
        KernelsMissingError: QD0403 where the machine does not have ``kernels``.
        UserError: QD0103 or QD0104 for a model or an input that the runtime refuses.
        ToolchainError: QD0403 where the program fails otherwise.
    """
    # Not a copy: while one thread still has a copy open for writing, another one's fork inherits it, and starting it fails (ETXTBSY).
    (folder / "qd_run").symlink_to(program.resolve())
    (folder / "model.qdm").write_bytes(model)
    np.save(folder / "input.npy", np.ascontiguousarray(images[..., None] if images.ndim == 3 else images))
    arguments = ["qd_run", "model.qdm", "input.npy", "--out", "logits.npy", "--kernels", kernels]
    if dump:
        arguments += ["--dump", "dump"]
    result = runner.execute(folder, arguments)
    if result.returncode == 0 and (folder / "logits.npy").exists():
        return
    raise runtime_error(result.returncode, result.stderr, runner, kernels)


def runtime_error(status: int, message: str, runner: Runner, kernels: str) -> QnnDeployError:
    """What a program of the runtime said, as one of our errors."""
    text = message.strip().removeprefix("error: ") or f"exit status {status}"
    if _NO_KERNELS.search(text):
        return KernelsMissingError("QD0403", f"{runner.name} does not have the {kernels} kernels")
    if status == _BAD_INPUT:
        return UserError("QD0104" if text.startswith("input") else "QD0103", text)
    return ToolchainError("QD0403", f"the program failed on {runner.name}: {text}")
