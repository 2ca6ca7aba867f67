"""Runs in another Python, that of `evaluate.lce`: Larq Compute Engine's wrapper reads arrays as NumPy 1 lays them out, and we need NumPy 2.

    python lce_worker.py MODEL.tflite INPUT.npy OUTPUT.npy [RUNS WARMUP]

INPUT.npy holds samples [N, ...] of the model's input. Without RUNS, OUTPUT.npy gets the outputs of all of them; with RUNS, the
milliseconds of each run on the first, float64 [RUNS]. Knows nothing but NumPy and the engine.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

# The engine's quickest setting on x86, measured: reference kernel no, indirect BGEMM yes, XNNPACK yes.
THREADS, SETTING = 1, (False, True, True)


def interpreter(model: bytes) -> Any:
    """The engine's own interpreter, without the rest of its package, which imports TensorFlow."""
    package = importlib.util.find_spec("larq_compute_engine")
    assert package is not None and package.submodule_search_locations
    (path,) = Path(package.submodule_search_locations[0]).glob("tflite/python/interpreter_wrapper_lite*")
    spec = importlib.util.spec_from_file_location("interpreter_wrapper_lite", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LiteInterpreter(model, THREADS, *SETTING)


def main(model: str, source: str, result: str, runs: int = 0, warmup: int = 0) -> None:
    """See above."""
    engine, samples = interpreter(Path(model).read_bytes()), np.load(source, allow_pickle=False)
    if not runs:
        np.save(result, np.concatenate([engine.predict([samples[i : i + 1]])[0] for i in range(len(samples))]))
        return
    first, times = [samples[:1]], []
    for _ in range(warmup + runs):
        start = time.perf_counter()
        engine.predict(first)
        times.append(1e3 * (time.perf_counter() - start))
    np.save(result, np.array(times[warmup:]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
