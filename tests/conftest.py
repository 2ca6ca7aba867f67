"""Fixtures that several suites share: one small trained network and one build of it for this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported, and for the programs that tests start: networks this small wait for a second thread longer than they run.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digits network of 24 channels with random weights and hard BatchNorm statistics."""
    pytest.importorskip("torch")
    from qnn_deploy.nn import checkpoint
    from tests.nn._networks import SMALL, network

    path = tmp_path_factory.mktemp("trained") / "model.pt"
    checkpoint.save(path, network("digits-cnn", 0), "digits-cnn", SMALL["digits-cnn"], {})
    return path


@pytest.fixture(scope="session")
def small_build(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of it for this machine; not to be changed (copy it)."""
    from qnn_deploy import api

    out = tmp_path_factory.mktemp("build") / "out"
    api.build(str(small_checkpoint), ("host",), out=out)
    return out
