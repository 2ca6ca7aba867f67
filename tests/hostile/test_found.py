"""What the fuzzers and a reading of the code found in the readers, each as small as it gets."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")
pytest.importorskip("lightning_fabric")

from qnn_deploy import api, cli
from qnn_deploy.cli._console import printable
from qnn_deploy.emit import manifest
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import CompileErrors, UserError, as_damage
from qnn_deploy.frontend.archive import read_archive
from qnn_deploy.train.sweep.plan import read_sweep
from tests.hostile.readers import PACKED, READERS, good_manifest, read_build, sealed


def test_an_operator_of_a_buffer_that_is_not_there() -> None:
    content = bytearray(PACKED)
    content[int(0.203125 * len(content))] = 1
    with pytest.raises(UserError, match="malformed"):
        decode(sealed(bytes(content)))


@pytest.mark.parametrize("path", [5, "a\0b", "../model.qdm", "/etc/hostname", None, ["model.qdm"]])
def test_names_of_artefacts(path: object, tmp_path: Path) -> None:
    tree = good_manifest()
    tree["artefacts"][0]["path"] = path
    with pytest.raises(UserError) as caught:
        read_build(tmp_path, manifest.write_json(tree))
    assert caught.value.code == "QD0107"


def test_totals_that_are_missing(tmp_path: Path) -> None:
    tree = good_manifest()
    del tree["totals"]["arena_lower_bound"]
    with pytest.raises(UserError, match="not a manifest"):
        read_build(tmp_path, manifest.write_json(tree))


@pytest.mark.parametrize(
    "calibration",
    [5, [], {}, {"activations": "int8"}, {"activations": "int4", "scales": {}}, {"activations": [], "scales": {}}]
    + [{"activations": "int8", "scales": scales} for scales in (None, [1.0])]
    + [{"activations": "int8", "scales": {"x": scale}} for scale in (None, "a", 0, -1.0, 1e-60, 1e60, 10**400, float("nan"))],
)
def test_the_calibration_of_a_build(calibration: object, small_build: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(small_build, folder)
    tree = json.loads((folder / manifest.FILE).read_text())
    tree["source"]["calibration"] = calibration
    (folder / manifest.FILE).write_bytes(manifest.write_json(tree))
    with pytest.raises(UserError) as caught:
        api.verify(folder, limit=1, runners=("host",))
    assert caught.value.code == "QD0107" and "calibration" in caught.value.message


def test_a_link_out_of_the_build(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "model.qdm").write_bytes(PACKED)
    read_build(folder, manifest.write_json(good_manifest()))
    (folder / "model.qdm").unlink()
    (folder / "model.qdm").symlink_to(tmp_path / "model.qdm")
    with pytest.raises(UserError, match="outside"):
        manifest.read(folder)


def test_control_characters_are_written_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = good_manifest()
    tree["layers"][0]["name"] = "\x1b[2Jconv\u009b\ud800"
    read_build(tmp_path, manifest.write_json(tree))
    assert cli.invoke(["inspect", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\u009b" not in out and "\\x1b[2Jconv" in out
    assert printable("a\n\tb é") == "a\n\tb é"


def test_an_array_whose_header_promises_a_terabyte(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 1, 1, 1), np.uint8))
    content = (tmp_path / "a.npy").read_bytes().replace(b"(1, 1, 1, 1), }" + b" " * 20, b"(1099511627776, 999, 1, 1), }      ")
    for name in ("array", "array of data"):
        with pytest.raises(UserError):
            READERS[name][0](tmp_path, content)


def test_an_image_of_more_pixels_than_anyone_has(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        READERS["PNM"][0](tmp_path, b"P5 60000 60000 255\n" + b"\0" * 100)
    assert caught.value.code == "QD0104"


def test_formats_that_start_programs_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        READERS["PNG"][0](tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(%pipe%touch ran) (w) file\n%%EOF\n")


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/models/model.json", b"0" * 2**24)
    with pytest.raises(UserError, match="compressed"):
        read_archive(tmp_path / "net.pt2")


def test_a_sweep_of_more_trials_than_anyone_runs(tmp_path: Path) -> None:
    axes = "".join(f"arguments.k{i} = [{', '.join(map(str, range(100)))}]\n" for i in range(10))
    (tmp_path / "sweep.toml").write_text(f'[recipe]\narchitecture = "cnv"\ndata = "digits"\nepochs = 1\n[grid]\n{axes}')
    with pytest.raises(UserError, match="more than"):
        read_sweep(tmp_path / "sweep.toml")


def test_every_artefact_is_checked(small_build: Path, tmp_path: Path) -> None:
    """One bit of any file that the manifest names, the first byte or the last: `verify`, `eval` and `bench` refuse it by name."""
    names = [row["path"] for row in json.loads((small_build / manifest.FILE).read_text())["artefacts"]]
    assert {"model.qdm", "model.onnx", "model.pt", "qd_run"} <= {*names}
    folder = tmp_path / "out"
    folder.mkdir()
    for path in small_build.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for name in names:
        whole = (folder / name).read_bytes()
        for place in (0, -1):
            changed = bytearray(whole)
            changed[place] ^= 1
            (folder / name).write_bytes(changed)
            for check in (lambda: api.verify(folder), lambda: api.evaluate(str(folder), data="digits"), lambda: api.bench(str(folder))):
                with pytest.raises(UserError, match="SHA-256") as caught:
                    check()
                assert caught.value.code == "QD0107" and caught.value.where.endswith(name)
        (folder / name).write_bytes(whole)


def test_no_operator_is_blamed_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from qnn_deploy.frontend import torch_export

    def export(*_: object, **__: object) -> None:
        try:
            raise RuntimeError("no room for a thread")
        except RuntimeError as error:
            # As torch names the operator that it was at.
            raise RuntimeError("step 2 failed\n[target=torch.ops.aten.relu.default]") from error

    monkeypatch.setattr(torch.onnx, "export", export)
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1, 2),))
    with pytest.raises(CompileErrors) as caught:
        torch_export.to_onnx(program, "net")
    assert "cannot translate the model: no room for a thread" in caught.value.findings[0].message


@pytest.mark.parametrize(
    ("words", "code"), [("error return without exception set", "QD0112"), ("bad argument to internal function", "QD0102")]
)
def test_a_reason_that_is_lost_is_lack_of_memory(words: str, code: str) -> None:
    """`eval` with no memory left ended so, within an import."""
    with pytest.raises(UserError) as caught, as_damage("QD0102", "the file is damaged", where="x"):
        raise SystemError(words)
    assert caught.value.code == code
