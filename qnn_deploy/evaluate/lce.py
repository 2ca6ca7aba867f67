"""``.tflite`` files on Larq Compute Engine 0.16, in a Python of its own: its wrapper needs NumPy 1 and we need NumPy 2 (`lce_worker`)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.errors import ToolchainError, UserError
from qnn_deploy.evaluate import lce_worker
from qnn_deploy.evaluate.backends import Logits, Predict, as_float
from qnn_deploy.evaluate.reference import in_shape
from qnn_deploy.files import scratch

PYTHON = "QNN_DEPLOY_LCE_PYTHON"
HELP = f'python3.11 -m venv lce && lce/bin/pip install larq-compute-engine "numpy<2" && export {PYTHON}=$PWD/lce/bin/python'
_TIMEOUT = 3600


def find() -> str:
    """The Python that has Larq Compute Engine.

    Raises:
        UserError: QD0111 where the environment does not name one.
    """
    python = os.environ.get(PYTHON, "")
    if not python:
        raise UserError("QD0111", "this needs Larq Compute Engine, in a Python of its own", help=HELP)
    return python


def predict_tflite(python: str, model: bytes, shape: tuple[int, int, int]) -> Predict:
    """`Predict` for images [N, C, H, W], ``shape`` being [C, H, W], in one process."""

    def predict(images: NDArray[Any]) -> Logits:
        logits = _work(python, model, in_shape(images, shape))
        return as_float(np.moveaxis(logits, -1, 1) if logits.ndim > 2 else logits)

    return predict


def times(python: str, model: bytes, image: NDArray[Any], runs: int, warmup: int) -> list[float]:
    """Milliseconds of each run on one image [1, C, H, W], with one thread and the engine's quickest setting."""
    return [float(each) for each in _work(python, model, image, runs, warmup)]


def _work(python: str, model: bytes, images: NDArray[Any], *counts: int) -> NDArray[Any]:
    """What the worker writes for ``images`` [N, C, H, W].

    Raises:
        ToolchainError: QD0403 where it fails.
    """
    with scratch() as folder:
        (folder / "model.tflite").write_bytes(model)
        np.save(folder / "input.npy", np.ascontiguousarray(np.moveaxis(images, 1, -1)))
        arguments = [python, "-I", str(Path(lce_worker.__file__)), "model.tflite", "input.npy", "output.npy", *map(str, counts)]
        try:
            result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolchainError("QD0403", f"Larq Compute Engine's Python cannot be run: {error}", where=python, help=HELP) from error
        if result.returncode != 0 or not (folder / "output.npy").exists():
            lines = [line for line in result.stderr.strip().splitlines() if line] or [f"exit status {result.returncode}"]
            raise ToolchainError("QD0403", f"Larq Compute Engine failed: {lines[-1]}", where=python, help=HELP)
        written: NDArray[Any] = np.load(folder / "output.npy", allow_pickle=False)
        return written
