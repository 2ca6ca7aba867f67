"""A pickle is a program: it is run with `--trust-pickle` only, and only where that makes sense."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from qnn_deploy import api, cli  # noqa: E402
from qnn_deploy.emit import manifest  # noqa: E402
from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.frontend.torch_export import load_weights  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.train import state  # noqa: E402


class Program:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


def test_weights_with_a_program_in_them(tmp_path: Path) -> None:
    layer, path, mark = torch.nn.Linear(3, 2), tmp_path / "weights.pt", tmp_path / "ran"
    torch.save({"state_dict": torch.nn.Linear(3, 2).state_dict(), "arguments": Program(mark)}, path)
    with pytest.raises(UserError) as caught:
        load_weights(layer, path)
    assert caught.value.code == "QD0102" and "--trust-pickle" in caught.value.help and not mark.exists()
    load_weights(layer, path, trust_pickle=True)
    assert mark.is_dir()


def test_every_way_to_weights(small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `build` was trusted with, everything else asks for again: as it is refused, and as it is run."""
    mark, weights, folder = tmp_path / "ran", tmp_path / "weights.pt", tmp_path / "out"
    torch.save(Program(mark), weights)
    shutil.copytree(small_build, folder)
    tree = json.loads((folder / manifest.FILE).read_text())
    tree["source"] |= {"spec": "tests.frontend._modules:latent_small", "path": None, "weights": str(weights)}
    (folder / manifest.FILE).write_bytes(manifest.write_json(tree))
    commands = (["verify", str(folder)], ["bench", str(folder), "--peers"])
    for command in commands:
        assert cli.invoke(command) == 2
        assert "--trust-pickle" in capsys.readouterr().err and not mark.exists()
        assert cli.invoke([*command, "--trust-pickle"]) == 2  # it makes a folder, and None is no state_dict
        assert "not a state_dict" in capsys.readouterr().err
        mark.rmdir()
    for trusted, text in ((False, "--trust-pickle"), (True, "not a state_dict")):
        with pytest.raises(UserError) as caught:
            api.lint(tree["source"]["spec"], weights=str(weights), trust_pickle=trusted)
        assert text in str(caught.value) and mark.exists() == trusted


@pytest.mark.parametrize("load", [checkpoint.load, state.load])
def test_our_own_files_are_never_run(load: Any, tmp_path: Path) -> None:
    torch.save({"format": "qnn-deploy-checkpoint", "version": 1, "state": Program(tmp_path / "ran")}, tmp_path / "model.pt")
    with pytest.raises(UserError):
        load(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(Program(tmp_path / "ran"), tmp_path / "weights.pt")
    options = ["build", "tests.frontend._modules:latent_small", "--weights", str(tmp_path / "weights.pt"), "--dry-run"]
    assert cli.invoke(options) == 2
    assert "--trust-pickle" in capsys.readouterr().err and not (tmp_path / "ran").exists()
    assert cli.invoke([*options, "--trust-pickle"]) == 2  # it makes a folder, and None is no state_dict
    assert "not a state_dict" in capsys.readouterr().err and (tmp_path / "ran").is_dir()
