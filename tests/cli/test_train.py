"""``train`` from the command line: what is refused, what is reported, going on; and the script that draws the curve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from qnn_deploy import cli
from qnn_deploy.cli import train as command
from qnn_deploy.errors import Exit
from qnn_deploy.train.recipe import read_recipe, write_recipe
from tests.train._runs import recipe

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A quick recipe."""
    path = tmp_path / "quick.toml"
    path.write_text(write_recipe(recipe(epochs=2, arguments={"channels": 8})))
    return path


def call(*arguments: object) -> int:
    return int(cli.invoke(["train", *(str(argument) for argument in arguments)]))


def test_train_resume_and_repeat(file: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    assert call(file, "-o", out, "--seed", 5, "--json") == 0
    value, err = json.loads(capsys.readouterr().out), capsys.readouterr().err
    assert read_recipe(out / "recipe.toml").seed == 5
    assert call(file, "-o", out, "--seed", 5, "--resume") == 0
    assert f"{value['correct']:,} of 449" in capsys.readouterr().out
    assert call(out / "recipe.toml", "-o", tmp_path / "again", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["correct"] == value["correct"] and "epoch 2/2" in captured.err and err == ""
    assert call(file, "-o", out, "--seed", 6, "--resume") == Exit.BAD_INPUT
    err = capsys.readouterr().err
    assert "error[QD0205]" in err and "seed is 6, was 5" in err
    assert read_recipe(out / "recipe.toml").seed == 5, "a refused run changes nothing"


def test_divergence_is_2(file: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call(file, "-o", tmp_path / "run", "--set", "logit_scale=1e38") == Exit.BAD_INPUT
    err = capsys.readouterr().err
    assert "error[QD0204]" in err and "learning_rate" in err
    assert not (tmp_path / "run" / "model.pt").exists()


def test_contradictions_are_2(file: Path, tmp_path: Path, capsys: Capture) -> None:
    bad = (("optimizer.nam=sgd", "optimizer"), ("arguments.chanels=3", "arguments.channels"), ("freeze=[[0.5, 3]]", "freeze"))
    for setting, named in bad:
        assert call(file, "-o", tmp_path / "run", "--set", setting) == Exit.BAD_INPUT
        err = capsys.readouterr().err
        assert "error[QD0202]" in err and named in err
    assert not (tmp_path / "run").exists()


def test_a_full_device_is_2(file: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("x")
    assert call(file, "-o", tmp_path / "file" / "run") == Exit.BAD_INPUT
    assert "error[QD0105]" in capsys.readouterr().err


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    row = {"epoch": 1, "epochs": 2, "loss": 0.5, "train_accuracy": 0.25, "test_accuracy": 0.125, "flip_ratio": None, "seconds": 3.0}
    with command._reporting() as (report, progress):
        progress(0, 2, 3, 4)
        report(row)
    err = capsys.readouterr().err
    assert "epoch 1/2  loss 0.5000  train 25.00%  test 12.50%  3 s" in err


def test_the_curve(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = [ROOT / "models" / name for name in ("digits-cnn-w1a1", "cifar10-cnv-w1a1")]
    script = [sys.executable, str(ROOT / "tools" / "plot_curve.py")]
    subprocess.run([*script, *map(str, runs), "-o", str(tmp_path / "c.png")], check=True, capture_output=True)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    failed = subprocess.run([*script, str(tmp_path)], capture_output=True, text=True)
    assert failed.returncode == 1 and "metrics.csv" in failed.stderr
