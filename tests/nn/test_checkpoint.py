"""Checkpoints come back bit for bit, and every kind of damage is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import QnnDeployError, UserError  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.nn.layers import QuantLayer  # noqa: E402
from tests.nn._networks import SMALL, network, pixels  # noqa: E402


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    checkpoint.save(path, network("digits-cnn", 0), "digits-cnn", SMALL["digits-cnn"], {"accuracy": 0.5})
    return path


def _altered(path: Path, change: Callable[[dict[str, Any]], None], *, digest: bool = True) -> Path:
    """The file after ``change``; with a digest that fits unless told otherwise."""
    contents = torch.load(path, weights_only=True)
    change(contents)
    if digest and not any(tensor.is_sparse for tensor in contents["state"].values()):
        contents["sha256"] = checkpoint._digest(contents["architecture"], contents["arguments"], contents["state"], contents["meta"])
    torch.save(contents, path)
    return path


def _refusal(path: Path) -> QnnDeployError:
    with pytest.raises(QnnDeployError) as caught:
        checkpoint.load(path)
    assert str(path) in caught.value.where
    return caught.value


@pytest.mark.parametrize("name", SMALL)
def test_logits_survive_the_file(name: str, tmp_path: Path) -> None:
    model = network(name, 1)
    latent = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    digest = checkpoint.save(tmp_path / "m.pt", model, name, SMALL[name], {"epochs": 3})
    assert all(torch.equal(tensor, latent[key]) for key, tensor in model.state_dict().items())
    loaded, info = checkpoint.load(tmp_path / "m.pt")
    assert (info.architecture, info.arguments, info.meta, info.sha256) == (name, SMALL[name], {"epochs": 3}, digest)
    assert not loaded.training
    assert all(layer.folded for layer in loaded.modules() if isinstance(layer, QuantLayer))
    x = pixels(model, 4, 1)
    with torch.no_grad():
        assert torch.equal(model(x).view(torch.int32), loaded(x).view(torch.int32))


def test_weights_are_stored_in_a_byte_each(tmp_path: Path) -> None:
    from qnn_deploy.nn.architectures import ARCHITECTURES

    checkpoint.save(tmp_path / "cnv.pt", ARCHITECTURES["cnv"](), "cnv", {}, {})
    assert (tmp_path / "cnv.pt").stat().st_size < 1_600_000


def test_nothing_is_left_behind_where_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        checkpoint.save(tmp_path / "no" / "model.pt", network("digits-cnn", 0), "digits-cnn", {}, {})
    assert caught.value.code == "QD0105"
    assert list(tmp_path.iterdir()) == []


def test_arguments_must_be_plain(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="plain values") as caught:
        checkpoint.save(tmp_path / "m.pt", network("digits-cnn", 0), "digits-cnn", {"channels": object()}, {})
    assert caught.value.code == "QD0106"


def test_missing_file(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "none.pt").code == "QD0101"


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_truncated_file(saved: Path, keep: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    assert _refusal(saved).code == "QD0102"


@pytest.mark.parametrize("part", range(1, 20))
def test_no_flipped_byte_goes_unnoticed(saved: Path, part: int) -> None:
    before = torch.load(saved, weights_only=True)
    data = bytearray(saved.read_bytes())
    data[len(data) * part // 20] ^= 0x41
    saved.write_bytes(bytes(data))
    try:
        loaded, info = checkpoint.load(saved)
    except QnnDeployError as error:
        assert error.code == "QD0102"
    else:  # a byte that carries nothing, such as the filling between records of the archive
        assert info.sha256 == before["sha256"]
        assert all(torch.equal(tensor, before["state"][key]) for key, tensor in loaded.state_dict().items())


@pytest.mark.parametrize("contents", [b"", b"PK", b"not a checkpoint" * 100, pickle.dumps({"format": "qnn-deploy-checkpoint"})])
def test_foreign_bytes(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "f.pt").write_bytes(contents)
    assert _refusal(tmp_path / "f.pt").code == "QD0102"


def test_plain_state_dict_gets_advice(tmp_path: Path) -> None:
    torch.save(network("digits-cnn", 0).state_dict(), tmp_path / "f.pt")
    error = _refusal(tmp_path / "f.pt")
    assert error.code == "QD0102"
    assert "--weights" in error.help


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "version": 1, "state": _Bomb(tmp_path / "ran")}, tmp_path / "f.pt")
    assert _refusal(tmp_path / "f.pt").code == "QD0102"
    assert not (tmp_path / "ran").exists()


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda contents: contents.__setitem__(key, value)


def _tensor(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda contents: contents["state"].__setitem__(name, value)


CONV = "layers.1.weight_int"
DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], None], str, str]] = {
    "newer": (_set("version", 2), "QD0102", "newer"),
    "version": (_set("version", "1"), "QD0102", "version"),
    "architecture": (_set("architecture", "vgg"), "QD0102", "unknown architecture 'vgg'"),
    "arguments": (_set("arguments", {"channel": 24}), "QD0102", "does not take these arguments"),
    "other width": (_set("arguments", {"channels": 25}), "QD0102", "not torch"),
    "no meta": (lambda contents: contents.pop("meta") and contents.update(meta=None), "QD0102", "'meta'"),
    "shape": (_tensor(CONV, torch.ones(24, 1, 3, 4, dtype=torch.int8)), "QD0102", CONV),
    "dtype": (_tensor(CONV, torch.ones(24, 1, 3, 3)), "QD0102", CONV),
    "sparse": (_tensor(CONV, torch.ones(24, 9, dtype=torch.int8).to_sparse()), "QD0102", "not a plain tensor"),
    "missing": (lambda contents: contents["state"].pop(CONV), "QD0102", f"missing {CONV}"),
    "unknown": (_tensor("layers.1.extra", torch.ones(1)), "QD0102", "unknown tensor layers.1.extra"),
    "not binary": (_tensor(CONV, torch.zeros(24, 1, 3, 3, dtype=torch.int8)), "QD0102", "binary"),
    "bn nan": (_tensor("layers.2.weight", torch.full((24,), float("nan"))), "QD0304", "NaN"),
    "bn inf": (_tensor("layers.6.running_mean", torch.full((24,), float("inf"))), "QD0304", "Inf"),
    "bn variance": (_tensor("layers.6.running_var", torch.full((24,), -1.0)), "QD0304", "negative variance"),
    "zero nan": (_tensor("layers.0.zero", torch.full((1, 1, 1), float("nan"))), "QD0102", "layers.0.zero"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage(saved: Path, damage: str) -> None:
    change, code, text = DAMAGE[damage]
    error = _refusal(_altered(saved, change))
    assert error.code == code
    assert text in error.message


def test_altered_weight(saved: Path) -> None:
    error = _refusal(_altered(saved, lambda contents: contents["state"][CONV].neg_(), digest=False))
    assert (error.code, "altered" in error.message) == ("QD0102", True)


def test_altered_meta(saved: Path) -> None:
    error = _refusal(_altered(saved, lambda contents: contents["meta"].update(accuracy=0.99), digest=False))
    assert (error.code, "altered" in error.message) == ("QD0102", True)


def test_int8_weights_stay_in_range(tmp_path: Path) -> None:
    path = tmp_path / "r.pt"
    checkpoint.save(path, network("binary-resnet", 0), "binary-resnet", SMALL["binary-resnet"], {})
    error = _refusal(_altered(path, lambda contents: contents["state"]["head.weight_int"].fill_(-128)))
    assert (error.code, "holds -128; its weights lie in [-127, 127]" in error.message) == ("QD0102", True)
