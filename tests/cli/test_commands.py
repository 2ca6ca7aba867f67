"""The command line: good calls, and bad input of every kind with its exit code and message."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from qnn_deploy import cli
from qnn_deploy.errors import Exit

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


def call(*arguments: object) -> int:
    return int(cli.invoke([str(argument) for argument in arguments]))


def fails(capsys: Capture, status: Exit, code: str, *arguments: object) -> str:
    """The call fails with ``status``, says ``code`` on stderr and nothing on stdout; returns stderr."""
    assert call(*arguments) == status
    out, err = capsys.readouterr()
    assert out == "" and f"error[{code}]" in err and "Traceback" not in err
    return err


# -- the frame


def test_help_lists_every_command_and_is_light() -> None:
    heavy = "[m for m in ('torch', 'onnx', 'numpy', 'rich') if m in sys.modules]"
    code = f"import sys; from qnn_deploy import cli; cli.invoke(['--help']); print({heavy})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert all(name in result.stdout for name, _ in cli.COMMANDS)
    assert result.stdout.strip().endswith("[]"), "nothing heavy is imported for --help"


@pytest.mark.parametrize("name", [name for name, _ in cli.COMMANDS])
def test_every_command_has_help(name: str, capsys: Capture) -> None:
    assert call(name, "--help") == 0
    assert "Usage: qnn-deploy" in capsys.readouterr().out


def test_version(capsys: Capture) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out.startswith("qnn-deploy, version ")


@pytest.mark.parametrize("arguments", [["biuld"], ["build"], ["build", "x", "--no-such-option"], ["verify", "x", "--limit", "0"]])
def test_bad_use_is_2(arguments: list[str], capsys: Capture) -> None:
    assert call(*arguments) == Exit.BAD_INPUT
    assert capsys.readouterr().out == ""


def test_did_you_mean(capsys: Capture) -> None:
    call("biuld")
    assert "'build'" in capsys.readouterr().err


def test_a_bug_is_70_with_the_trace_in_a_file(monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("qnn_deploy.api.inspect", lambda name: 1 // 0)
    err = fails(capsys, Exit.BUG, "QD0901", "inspect", "x")
    traces = list(tmp_path.glob("qnn-deploy-*.txt"))
    assert len(traces) == 1 and str(traces[0]) in err
    assert "ZeroDivisionError" in traces[0].read_text()


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qnn_deploy.api.inspect", interrupt)
    assert call("inspect", "x") == Exit.INTERRUPTED


# -- good calls


def test_build_prints_json_only(small_checkpoint: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("build", small_checkpoint, "--emit", "qdm", "-o", tmp_path / "out", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value == json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_dry_run_writes_nothing(small_checkpoint: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("build", small_checkpoint, "-o", tmp_path / "out", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "thresholds" in out and "nothing written" in err and not (tmp_path / "out").exists()


def test_print_ir(small_checkpoint: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("build", small_checkpoint, "--emit", "qdm", "-o", tmp_path / "out", "--print-ir") == 0
    assert "--- FoldThresholds" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit(small_build: Path, columns: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert call("inspect", small_build / "model.qdm") == 0
    assert max(map(len, capsys.readouterr().out.splitlines()[1:])) <= columns


def test_verify_exits_0_or_1(small_build: Path, tmp_path: Path, capsys: Capture) -> None:
    options = ("--data", "digits", "--limit", 5, "--limit-reference", 1, "--runner", "host", "--json")
    assert call("verify", small_build, *options) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["ok"] and value["schema_version"] == 1
    assert set(value["rows"][0]) >= {"artefact", "runner", "kernels", "images", "differing_bits", "correct"}
    from qnn_deploy.nn import checkpoint
    from tests.nn._networks import SMALL, network

    checkpoint.save(tmp_path / "other.pt", network("digits-cnn", 7), "digits-cnn", SMALL["digits-cnn"], {})
    assert call("verify", small_build, *options, "--against", tmp_path / "other.pt") == Exit.NO
    assert not json.loads(capsys.readouterr().out)["ok"]


def test_run_on_image_and_array(small_build: Path, tmp_path: Path, capsys: Capture) -> None:
    image_module = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    image_module.fromarray(pixels).save(tmp_path / "x.png")
    np.save(tmp_path / "x.npy", pixels[None, None])
    answers = []
    for name in ("x.png", "x.npy"):
        assert call("run", small_build, "--in", tmp_path / name, "--json", "--out", tmp_path / "y.npy") == 0
        answers.append(json.loads(capsys.readouterr().out))
        assert np.load(tmp_path / "y.npy").tolist() == answers[-1]["logits"]
    assert answers[0] == answers[1] and len(answers[0]["top1"]) == 1


def test_run_of_a_network_that_gives_classes(tmp_path: Path, capsys: Capture) -> None:
    """The class itself is shown, not the number of the only channel; of pixels the class of most of them."""
    for style, shape in (("BestClass", "1x3x3x3"), ("PixelClasses", "1x3x12x12")):
        side = int(shape.split("x")[-1])
        np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (1, 3, side, side), np.uint8))
        options = ("--input", f"{shape}:uint8:zero=128", "--emit", "qdm", "-o", tmp_path / style)
        assert call("build", f"tests.frontend._moving_strangers:make_{style}", *options) == 0
        capsys.readouterr()
        assert call("run", tmp_path / style, "--in", tmp_path / "x.npy", "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        (found,) = np.array(answer["logits"]).squeeze(1).tolist()
        assert answer["top1"] == [found]
        assert call("run", tmp_path / style, "--in", tmp_path / "x.npy") == 0
        shown = capsys.readouterr().out
        assert shown.strip() == f"{found:.9g}" if style == "BestClass" else shown.count("(") == len(np.unique(found))


@pytest.mark.parametrize("name", ["", "model.qdm", "model.onnx", "model.pt"])
def test_inspect(small_build: Path, name: str, capsys: Capture) -> None:
    assert call("inspect", small_build / name) == 0
    assert capsys.readouterr().out
    assert call("inspect", small_build / name, "--json") == 0
    json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", ["targets", "ops"])
def test_lists(command: str, capsys: Capture) -> None:
    assert call(command) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3
    assert call(command, "--json") == 0
    assert json.loads(capsys.readouterr().out)["schema_version"] == 1


def test_bench_against_a_baseline(small_build: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("bench", small_build, "--kernels", "ref", "--runs", 3, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    value["rows"][0]["median_ms"] /= 1000
    (tmp_path / "before.json").write_text(json.dumps(value))
    assert call("bench", small_build, "--kernels", "ref", "--runs", 3, "--layers", "--baseline", tmp_path / "before.json") == Exit.NO
    assert "slower" in capsys.readouterr().err


def test_train_build_verify(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    options = ("--epochs", 1, "--set", "arguments={channels=8}", "--seed", 3)
    assert call("train", "digits-cnn-w1a1", "-o", tmp_path / "run", *options, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["images"] == 449 and (tmp_path / "run" / "metrics.csv").exists()
    assert call("eval", tmp_path / "run" / "model.pt", "--data", "digits", "--json") == 0
    assert json.loads(capsys.readouterr().out)["correct"] == value["correct"]


# -- bad input


def test_missing_files(capsys: Capture, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    fails(capsys, Exit.BAD_INPUT, "QD0101", "build", gone.with_suffix(".pt"), "-o", tmp_path / "out")
    fails(capsys, Exit.BAD_INPUT, "QD0101", "build", gone, "-o", tmp_path / "out")
    fails(capsys, Exit.BAD_INPUT, "QD0101", "inspect", gone.with_suffix(".qdm"))
    fails(capsys, Exit.BAD_INPUT, "QD0101", "verify", tmp_path)
    fails(capsys, Exit.BAD_INPUT, "QD0101", "verify", gone.with_suffix(".qdm"), "--against", "x.pt")
    fails(capsys, Exit.BAD_INPUT, "QD0101", "eval", gone.with_suffix(".qdm"), "--data", "digits")
    fails(capsys, Exit.BAD_INPUT, "QD0201", "train", gone, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inputs_for_run(small_build: Path, capsys: Capture, tmp_path: Path) -> None:
    fails(capsys, Exit.BAD_INPUT, "QD0101", "run", small_build, "--in", tmp_path / "gone.npy")
    (tmp_path / "text.txt").write_text("hello")
    fails(capsys, Exit.BAD_INPUT, "QD0104", "run", small_build, "--in", tmp_path / "text.txt")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00\x76")
    fails(capsys, Exit.BAD_INPUT, "QD0104", "run", small_build, "--in", tmp_path / "cut.npy")
    np.save(tmp_path / "shape.npy", np.zeros((1, 1, 9, 8), np.uint8))
    assert "[N, 1, 8, 8]" in fails(capsys, Exit.BAD_INPUT, "QD0104", "run", small_build, "--in", tmp_path / "shape.npy")
    np.save(tmp_path / "dtype.npy", np.zeros((1, 1, 8, 8), np.float32))
    assert "float32" in fails(capsys, Exit.BAD_INPUT, "QD0104", "run", small_build, "--in", tmp_path / "dtype.npy")
    np.save(tmp_path / "good.npy", np.zeros((1, 1, 8, 8), np.uint8))
    fails(capsys, Exit.BAD_INPUT, "QD0105", "run", small_build, "--in", tmp_path / "good.npy", "--out", tmp_path / "no" / "y.npy")
    fails(capsys, Exit.BAD_INPUT, "QD0105", "run", small_build, "--in", tmp_path / "good.npy", "--out", "/dev/full")
    fails(capsys, Exit.BAD_INPUT, "QD0106", "run", small_build, "--in", tmp_path / "good.npy", "--runner", "pigeon")
    fails(capsys, Exit.BAD_INPUT, "QD0106", "bench", small_build / "model.qdm", "--peers")


def test_damaged_checkpoints(small_checkpoint: Path, capsys: Capture, tmp_path: Path) -> None:
    content = small_checkpoint.read_bytes()
    path = tmp_path / "model.pt"
    middle = bytearray(content)
    middle[len(content) // 2] ^= 0x10
    for damaged in (b"", b"not a checkpoint", content[:100], content[: len(content) // 2], content[:-1], bytes(middle)):
        path.write_bytes(damaged)
        fails(capsys, Exit.BAD_INPUT, "QD0102", "build", path, "-o", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_damaged_packed_models(small_build: Path, capsys: Capture, tmp_path: Path) -> None:
    content = (small_build / "model.qdm").read_bytes()
    path = tmp_path / "m.qdm"
    altered, newer = bytearray(content), bytearray(content)
    altered[-1] ^= 1
    newer[4] = 2
    for damaged in (b"", b"QDM\x1a", content[:63], content[:-64], content + bytes(64), bytes(altered), bytes(newer)):
        path.write_bytes(damaged)
        fails(capsys, Exit.BAD_INPUT, "QD0103", "inspect", path)
        fails(capsys, Exit.BAD_INPUT, "QD0103", "eval", path, "--data", "digits")
    path.write_bytes(bytes(newer))
    assert "2.0" in fails(capsys, Exit.BAD_INPUT, "QD0103", "bench", path)


def test_a_build_that_was_changed(small_build: Path, capsys: Capture, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_build, tmp_path / "out"))
    with (folder / "model.qdm").open("ab") as stream:
        stream.write(b"x")
    fails(capsys, Exit.BAD_INPUT, "QD0107", "verify", folder)
    (folder / "manifest.json").write_text("{}")
    fails(capsys, Exit.BAD_INPUT, "QD0107", "verify", folder)
    (folder / "manifest.json").write_text('{"schema_version": 99, "artefacts": []}')
    assert "99" in fails(capsys, Exit.BAD_INPUT, "QD0107", "verify", folder)


def test_targets_and_formats_that_are_not_known(small_checkpoint: Path, capsys: Capture, tmp_path: Path) -> None:
    err = fails(capsys, Exit.BAD_INPUT, "QD0110", "build", small_checkpoint, "--target", "rpi44", "-o", tmp_path / "out")
    assert "did you mean 'rpi4'" in err
    fails(capsys, Exit.BAD_INPUT, "QD0106", "build", small_checkpoint, "--emit", "qdm,zip", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_outputs_that_cannot_be_written(small_checkpoint: Path, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    fails(capsys, Exit.BAD_INPUT, "QD0105", "build", small_checkpoint, "--emit", "qdm", "-o", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    (tmp_path / "file").write_text("x")
    fails(capsys, Exit.BAD_INPUT, "QD0105", "build", small_checkpoint, "--emit", "qdm", "-o", tmp_path / "file" / "out")
    fails(capsys, Exit.BAD_INPUT, "QD0105", "build", small_checkpoint, "--emit", "qdm", "-o", "/proc/nothing/out")


def test_missing_toolchain_is_4(small_checkpoint: Path, small_build: Path, capsys: Capture, tmp_path: Path) -> None:
    fails(capsys, Exit.TOOLCHAIN, "QD0401", "build", small_checkpoint, "--cc", "no-such-cc", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    other = "qemu" if not shutil.which("qemu-x86_64") and os.uname().machine == "x86_64" else None
    if other:
        fails(capsys, Exit.TOOLCHAIN, "QD0403", "verify", small_build, "--runner", other, "--data", "digits", "--limit", 1)


def test_recipes(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    for text, code in (("= 1", "QD0201"), ("colour = 1", "QD0202"), ('architecture = "x"\ndata = "digits"\nepochs = 1', "QD0202")):
        path.write_text(text)
        fails(capsys, Exit.BAD_INPUT, code, "train", path, "-o", tmp_path / "out")
    path.write_text('architecture = "digits-cnn"\ndata = "nothing"\nepochs = 1')
    fails(capsys, Exit.BAD_INPUT, "QD0203", "train", path, "-o", tmp_path / "out")


def test_data_that_does_not_fit(small_build: Path, capsys: Capture, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 32, 32), np.uint8))
    fails(capsys, Exit.BAD_INPUT, "QD0104", "verify", small_build, "--data", f"npy:{tmp_path / 'x.npy'}")
    fails(capsys, Exit.BAD_INPUT, "QD0203", "verify", small_build, "--data", "imagenet")
    np.save(tmp_path / "y.npy", np.zeros((2, 1, 8, 8), np.uint8))
    assert "labels" in fails(capsys, Exit.BAD_INPUT, "QD0203", "eval", small_build, "--data", f"npy:{tmp_path / 'y.npy'}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_inside_an_import_ends_with_its_exit_status(tmp_path: Path, number: signal.Signals) -> None:
    # Imports run exec() on strings, and CPython (under -m) remembers a KeyboardInterrupt that passed through one.
    (tmp_path / "command.py").write_text(f"""
import os, qnn_deploy.cli as cli
cli.group.main = lambda **_: exec("os.kill(os.getpid(), {int(number)})\\nfor _ in range(1000): pass", {{"os": os}})
cli.main([])
""")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "command"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (Exit.INTERRUPTED, "interrupted\n")


def test_a_terminated_build_leaves_nothing(small_checkpoint: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "qnn_deploy", "build", str(small_checkpoint), "--emit", "qdm", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    # Before it writes, the signal may hit the import or export of torch, whose C++ then ends the process (SIGABRT): nothing is there yet.
    while process.poll() is None and not any(tmp_path.iterdir()):
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (Exit.INTERRUPTED, Exit.OK)
    left = [path.name for path in tmp_path.iterdir()]
    assert left in ([], ["out"])
