"""Build and verify, end to end, on a small network; and a packed model with one wrong number in it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_deploy import api
from qnn_deploy.emit import manifest, qdm
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import QnnDeployError, UserError
from qnn_deploy.ir.program import Program, Slot

pytest.importorskip("torch")


def replace_qdm(folder: Path, content: bytes) -> None:
    """Put other bytes into a build, its manifest fitting."""
    (folder / "model.qdm").write_bytes(content)
    value = json.loads((folder / manifest.FILE).read_text())
    for row in value["artefacts"]:
        if row["path"] == "model.qdm":
            row["sha256"], row["bytes"] = manifest.sha256(content), len(content)
    (folder / manifest.FILE).write_bytes(manifest.write_json(value))


def change_constant(program: Program, op: int, slot: Slot, change: Callable[[np.ndarray], np.ndarray]) -> Program:
    index = dict(program.ops[op].constants)[slot]
    constants = list(program.constants)
    constants[index] = change(constants[index].copy())
    return dataclasses.replace(program, constants=tuple(constants))


@pytest.fixture
def build(small_build: Path, tmp_path: Path) -> Path:
    """A copy of the build that may be changed."""
    return Path(shutil.copytree(small_build, tmp_path / "out"))


def verify(folder: Path, **options: Any) -> Any:
    return api.verify(folder, data="digits", runners=("host",), **{"limit": 40, "reference_limit": 4, **options})


def test_the_build_is_complete(small_build: Path) -> None:
    value = manifest.read(small_build)
    assert {row["path"] for row in value["artefacts"]} == {"model.qdm", "model.onnx", "model.pt", "qd_run", "qd_bench"}
    assert value["input"] == {"dtype": "uint8", "shape": ["N", 1, 8, 8]}
    assert value["proof"]["channels"] == 48 and value["proof"]["violations"] == 0
    assert value["totals"]["arena_bytes"] >= value["totals"]["arena_lower_bound"]
    assert str(small_build.parent) not in (small_build / manifest.FILE).read_text()


def test_same_model_same_bytes(small_checkpoint: Path, small_build: Path, tmp_path: Path) -> None:
    api.build(str(small_checkpoint), ("host",), ("qdm", "onnx"), tmp_path / "again")
    for name in ("model.qdm", "model.onnx", "model.pt", "report.txt"):
        assert (tmp_path / "again" / name).read_bytes() == (small_build / name).read_bytes(), name


def test_every_artefact_is_exact(small_build: Path) -> None:
    report = verify(small_build, layers=True)
    assert report.ok and report.ties > 0
    ran = {(row["artefact"], row["kernels"]) for row in report.rows if not row.get("not_run")}
    assert {("deploy form", "-"), ("exact graph", "-"), ("model.onnx", "-"), ("model.qdm", "ref")} <= ran
    assert {row["differing"] for row in report.layers} == {0}


@pytest.mark.parametrize("op", [0, 1])
def test_one_wrong_threshold_is_found_and_named(build: Path, op: int) -> None:
    program = decode((build / "model.qdm").read_bytes())
    name = program.ops[op].name

    def change(thresholds: np.ndarray) -> np.ndarray:
        channel = int(np.argmin(np.abs(thresholds.astype(np.int64))))
        thresholds[channel] += 25
        return thresholds

    replace_qdm(build, qdm.encode(change_constant(program, op, Slot.THRESHOLDS, change)))
    report = verify(build)
    assert not report.ok
    bad = [row for row in report.rows if row["differing_bits"]]
    assert bad and {row["artefact"] for row in bad} == {"model.qdm"}
    text = report.divergence[0]
    assert f"layer {name}," in text and "channel" in text and "accumulator" in text and "threshold" in text


def test_one_wrong_weight_bit_is_found(build: Path) -> None:
    program = decode((build / "model.qdm").read_bytes())

    def change(weights: np.ndarray) -> np.ndarray:
        weights[0] ^= 1
        return weights

    replace_qdm(build, qdm.encode(change_constant(program, len(program.ops) - 1, Slot.WEIGHTS, change)))
    report = verify(build)
    assert not report.ok and f"layer {program.ops[-1].name}," in report.divergence[0]


def test_another_model_of_the_same_shape_is_not_the_trained_one(build: Path, tmp_path: Path) -> None:
    from qnn_deploy.nn import checkpoint
    from tests.nn._networks import SMALL, network

    checkpoint.save(tmp_path / "other.pt", network("digits-cnn", 5), "digits-cnn", SMALL["digits-cnn"], {})
    report = verify(build, against=str(tmp_path / "other.pt"))
    assert not report.ok and report.trained["changed_total"] > 0


def test_a_changed_artefact_is_refused(build: Path) -> None:
    for name in ("model.qdm", "model.onnx", "qd_run", "model.pt"):
        content = (build / name).read_bytes()
        (build / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(UserError) as caught:
            verify(build)
        assert caught.value.code == "QD0107" and name in caught.value.where
        (build / name).write_bytes(content)
    (build / "model.onnx").unlink()
    with pytest.raises(UserError) as caught:
        verify(build)
    assert caught.value.code == "QD0107"


def test_a_manifest_cannot_point_outside(build: Path) -> None:
    value = json.loads((build / manifest.FILE).read_text())
    value["artefacts"][0]["path"] = "../secret"
    (build / manifest.FILE).write_bytes(manifest.write_json(value))
    with pytest.raises(UserError) as caught:
        manifest.read(build)
    assert caught.value.code == "QD0107"


def test_an_interrupted_build_leaves_nothing(small_checkpoint: Path, tmp_path: Path) -> None:
    def interrupt(stage: str) -> None:
        if stage == "write":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.build(str(small_checkpoint), ("host",), ("qdm",), tmp_path / "out", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_run_gives_the_same_from_model_and_build(small_checkpoint: Path, small_build: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), np.uint8)
    expected = api.run(str(small_checkpoint), images)
    assert expected.dtype == np.float32 and expected.shape == (5, 10)
    for name in (str(small_build), str(small_build / "model.qdm")):
        assert api.run(name, images).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "shape,dtype", [((1, 1, 8, 9), np.uint8), ((1, 3, 8, 8), np.uint8), ((1, 1, 8, 8), np.int8), ((0, 1, 8, 8), np.uint8)]
)
def test_inputs_that_do_not_fit(small_build: Path, shape: tuple[int, ...], dtype: type) -> None:
    with pytest.raises(QnnDeployError) as caught:
        api.run(str(small_build), np.zeros(shape, dtype))
    assert caught.value.code == "QD0104"


def test_evaluate(small_checkpoint: Path, small_build: Path) -> None:
    values = [api.evaluate(str(name), data="digits", limit=30) for name in (small_checkpoint, small_build)]
    assert values[0]["correct"] == values[1]["correct"] and values[0]["images"] == 30
    assert values[0]["top1"] == values[0]["correct"] / 30
