"""A stranger's module, written with no import of ours, in every style that published code has: it builds, and it verifies bit for bit.

Where torch's own sum cannot be repeated the departure is named with its layer and line; then all artefacts equal one another.
"""

from __future__ import annotations

import ast
import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from qnn_deploy import api, frontend
from qnn_deploy.errors import CompileErrors
from tests.frontend import _float_strangers, _moving_strangers, _strangers


@pytest.fixture(autouse=True)
def export_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build and verify load the same model; exporting it takes longer than everything else."""
    load = functools.cache(frontend.load_model)

    def copied(*arguments: Any, **options: Any) -> frontend.LoadedModel:
        loaded = copy.copy(load(*arguments, **options))
        object.__setattr__(loaded, "model", loaded.model.clone())
        return loaded

    monkeypatch.setattr(frontend, "load_model", copied)


def _report(
    style: type, folder: Path, input_spec: str = _strangers.INPUT, layers: bool = False, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = f"{style.__module__}:make_{style.__name__}"
    manifest = api.build(spec, ("host",), ("qdm", "onnx"), folder / "out", input_spec=input_spec, **options)
    report = api.verify(folder / "out", runners=("host",), data=options.get("calibrate"), layers=layers)
    ran = {(row["artefact"], row["kernels"]) for row in report.rows if not row.get("not_run")}
    assert {("exact graph", "-"), ("model.onnx", "-"), ("model.qdm", "ref"), ("model.qdm", "auto")} <= ran | {("model.qdm", "auto")}
    assert report.ok, [row for row in report.rows if row["differing_bits"]]
    return manifest, report.to_json()


@pytest.mark.parametrize("module", [_strangers, _float_strangers, _moving_strangers], ids=lambda module: module.__name__)
def test_no_import_of_ours(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names if name != _strangers.__name__} <= {"__future__", "math", "typing", "torch"}


@pytest.mark.parametrize("style", _moving_strangers.MOVING, ids=lambda style: style.__name__)
def test_moving(style: type, tmp_path: Path) -> None:
    manifest, report = _report(style, tmp_path, _moving_strangers.MOVING[style])
    assert (manifest["departures"], report["departures"]) == ([], [])


def test_shapes_that_disagree(tmp_path: Path) -> None:
    with pytest.raises(CompileErrors, match=r"two shapes, \[2, 16, 8, 8\] and \[2, 1, 8, 8\]"):
        api.build("tests.frontend._moving_strangers:make_Disagreeing", ("host",), ("qdm",), tmp_path / "out", input_spec=_strangers.INPUT)


@pytest.mark.parametrize("style", _strangers.EXACT, ids=lambda style: style.__name__)
def test_exact(style: type, tmp_path: Path) -> None:
    manifest, report = _report(style, tmp_path)
    assert (manifest["departures"], report["departures"]) == ([], [])


@pytest.mark.parametrize("style", _strangers.DEPARTING, ids=lambda style: style.__name__)
def test_departing(style: type, tmp_path: Path) -> None:
    manifest, report = _report(style, tmp_path)
    what = _strangers.DEPARTING[style]
    assert report["departures"] == manifest["departures"]
    assert all("_strangers.py:" in each["layer"] and each["remedy"] for each in manifest["departures"])
    assert any(what in each["what"] for each in manifest["departures"])
    assert "departure" in (tmp_path / "out" / "report.txt").read_text()
    trained = report["trained"]
    assert trained["compared"] >= 50 and trained["changed_total"] == len(trained["changed"]) == 0
    assert trained["largest_difference"] < 1e-3


@pytest.mark.parametrize("style", _float_strangers.ISLANDS, ids=lambda style: style.__name__)
def test_float_islands(style: type, tmp_path: Path) -> None:
    """A float layer among binary ones is named, in one order of summation on every backend; the rest has torch's bits."""
    manifest, report = _report(style, tmp_path, layers=True)
    layers = _float_strangers.ISLANDS[style]
    counted = [row for row in report["layers"] if row["layer"] in manifest["islands"]]
    assert {row["layer"] for row in counted} == set(manifest["islands"]) and all(row["elements"] for row in counted)
    assert {row["differing"] for row in report["layers"]} == {0}
    assert [name.split(".")[-1] for name in manifest["islands"]] == layers
    assert "islands     " + ", ".join(manifest["islands"]) in (tmp_path / "out" / "report.txt").read_text()
    assert len(report["departures"]) == len({each["layer"] for each in report["departures"]}) >= len(layers)
    assert all("_strangers.py:" in each["layer"] and each["remedy"] for each in manifest["departures"])
    assert all("order" in each["what"] or "divides" in each["what"] for each in manifest["departures"])
    # A sum that lands beside 0 may have another sign in torch; nowhere else do they part.
    assert report["trained"]["changed_total"] == len(report["trained"]["changed"]) <= report["trained"]["compared"] // 10


@pytest.mark.parametrize("style", [_float_strangers.SoftmaxHead, _float_strangers.LogSoftmaxHead], ids=lambda style: style.__name__)
def test_a_softmax_at_the_end_is_left_out_on_request(style: type, tmp_path: Path) -> None:
    with pytest.raises(CompileErrors, match="--logits"):
        _report(style, tmp_path)
    manifest, report = _report(style, tmp_path, logits=True)
    (departure,) = manifest["departures"]
    assert "left out on request" in departure["what"] and manifest["source"]["logits"] is True
    # Classes whose probabilities round to one number are a tie in torch alone.
    assert all(change["margin"] == 0 for change in report["trained"]["changed"])
    assert report["trained"]["changed_total"] < report["trained"]["compared"] // 4


@pytest.mark.parametrize("activations", ["int16", "int8"])
def test_float_activations(activations: str, tmp_path: Path) -> None:
    """Refused with the remedy named; calibrated, one network of integers on every backend, and what it changes is counted."""
    with pytest.raises(CompileErrors, match="--calibrate DATA") as caught:
        _report(_float_strangers.WeightOnly, tmp_path)
    assert {finding.code for finding in caught.value.findings} == {"QD0307"}
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (64, 3, 10, 10), np.uint8))
    data = f"npy:{tmp_path / 'data.npy'}"
    manifest, report = _report(_float_strangers.WeightOnly, tmp_path, calibrate=data, activations=activations, calibrate_images=32)
    calibration = manifest["source"]["calibration"]
    assert {key: calibration[key] for key in ("data", "images", "activations")} == {"data": data, "images": 32, "activations": activations}
    assert len(calibration["scales"]) == 3 and manifest["ops"]["quantize"] == 3
    assert {each["layer"].split()[0] for each in manifest["departures"]} >= {"conv2", "fc"}
    trained = report["trained"]
    assert trained["changed_total"] == len(trained["changed"])
    # Of the generated inputs some lie far outside the data.
    assert activations == "int8" or {each["inputs"] for each in trained["changed"]} <= {"generated"}


def test_scaled_pixels(tmp_path: Path) -> None:
    """--input ...:scale: the first layer's sum departs where the scale is no power of two, and only there."""
    exact, _ = _report(_strangers.AutogradFunction, tmp_path, "1x3x10x10:uint8:zero=128:scale=0.0078125")
    departing, _ = _report(_strangers.AutogradFunction, tmp_path, "1x3x10x10:uint8:zero=128:scale=0.0174")
    assert exact["departures"] == []
    (departure,) = departing["departures"]
    assert departure["layer"].startswith("conv1") and "0.0174 times integers" in departure["what"]
