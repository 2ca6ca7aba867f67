"""Warm starts: what is copied, what begins afresh, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from torch import nn  # noqa: E402

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402
from qnn_deploy.nn.layers import QuantLayer, fold  # noqa: E402
from qnn_deploy.train import init, state  # noqa: E402
from qnn_deploy.train.check import check_recipe  # noqa: E402
from qnn_deploy.train.init import unfold, warm_start  # noqa: E402
from tests.train._runs import recipe, run, run_until  # noqa: E402

SMALL: dict[str, Any] = {"blocks": 1, "channels": [4, 4, 8]}
FLOAT: dict[str, Any] = {**SMALL, "weights": "float", "activations": "float", "first": "float", "last": "float"}


@pytest.fixture(scope="module")
def float_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a float checkpoint with weights and statistics unlike those of a fresh network."""
    torch.manual_seed(7)
    model = ARCHITECTURES["resnet"](**FLOAT)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point() and tensor.dim():
            tensor.uniform_(0.5, 2)
    folder = tmp_path_factory.mktemp("float")
    checkpoint.save(folder / "model.pt", model.eval(), "resnet", FLOAT, {})
    return folder


@pytest.mark.parametrize("weights", ["ttq", "xnor", "tga"])
def test_a_quantised_network_begins_with_float_weights(float_resnet: Path, weights: str) -> None:
    torch.manual_seed(1)
    model = ARCHITECTURES["resnet"](**SMALL, weights=weights, first=weights, last=weights)
    warm_start(model, float_resnet)
    source, _ = checkpoint.load(float_resnet / "model.pt")
    wanted, found = source.state_dict(), model.state_dict()
    assert len(wanted) > 30
    for name, tensor in wanted.items():
        if name != "input.zero":
            assert torch.equal(found[name], tensor), name
    for module in model.modules():
        if isinstance(module, QuantLayer):
            before = [parameter.clone() for parameter in module.quantizer.parameters()]
            module.reset_quantizer()
            assert all(torch.equal(a, b) for a, b in zip(before, module.quantizer.parameters(), strict=True))


def test_learned_thresholds_and_scales_go_on_within_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    for method, other, learned in (("tga", "ttq", "delta"), ("ttq", "tga", "positive")):
        arguments = {**SMALL, "weights": method}
        model = ARCHITECTURES["resnet"](**arguments)
        layers = [name for name, module in model.named_modules() if isinstance(module, QuantLayer) and hasattr(module.quantizer, learned)]
        for index, name in enumerate(layers):
            model.get_parameter(f"{name}.quantizer.{learned}").data.fill_(0.01 + index)
        monkeypatch.setattr(init, "read", lambda path, model=model: dict(model.state_dict()))
        again = ARCHITECTURES["resnet"](**arguments)
        warm_start(again, Path("run"))
        assert len(layers) == 6
        assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items() if ".quantizer." in name)
        fresh = ARCHITECTURES["resnet"](**{**SMALL, "weights": other})
        warm_start(fresh, Path("run"))
        for module in fresh.modules():
            if isinstance(module, QuantLayer):
                before = [parameter.clone() for parameter in module.quantizer.parameters()]
                module.reset_quantizer()
                assert all(torch.equal(a, b) for a, b in zip(before, module.quantizer.parameters(), strict=True))


def test_what_has_no_counterpart_is_refused(float_resnet: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wants stem\.weight \[8, 3, 3, 3\], and this one has it as \[4, 3, 3, 3\]"):
        warm_start(ARCHITECTURES["resnet"](blocks=1, channels=[8, 8, 8]), float_resnet)
    with pytest.raises(UserError, match="does not have it"):
        warm_start(ARCHITECTURES["digits-cnn"](channels=8), float_resnet)
    folded = fold(ARCHITECTURES["resnet"](**SMALL))
    checkpoint.save(tmp_path / "model.pt", folded, "resnet", SMALL, {})
    with pytest.raises(
        UserError, match=r"wants blocks\.1\.layers\.1\.weight \[8, 4, 3, 3\], and this one has it as \[4, 4, 3, 3\]"
    ) as caught:
        warm_start(ARCHITECTURES["resnet"](blocks=1, channels=[4, 8, 8]), tmp_path)
    assert caught.value.code == "QD0202"


@pytest.mark.parametrize(("weights", "kept"), [("binary", 1.0), ("xnor", 0.9), ("fixed-threshold", 1.0), ("ttq", 1.0), ("tga", 0.9)])
def test_a_folded_network_goes_on_where_it_was(tmp_path: Path, weights: str, kept: float) -> None:
    """The same integers again, but for those of XNOR-Net and TGA, which centre the new weights."""
    arguments = {**SMALL, "weights": weights}
    torch.manual_seed(3)
    folded = fold(ARCHITECTURES["resnet"](**arguments))
    checkpoint.save(tmp_path / "model.pt", folded, "resnet", arguments, {})
    torch.manual_seed(4)
    model = ARCHITECTURES["resnet"](**arguments)
    warm_start(model, tmp_path)
    again = dict(model.named_modules())
    layers = [(name, module) for name, module in folded.named_modules() if isinstance(module, QuantLayer)]
    assert len(layers) > 7
    for name, layer in layers:
        other = again[name]
        assert isinstance(other, QuantLayer) and layer.weight_int is not None and other.weight is not None
        integers, _ = other.quantizer.eval()(other.weight)
        same = (integers == layer.weight_int).float().mean()
        assert same >= (kept if int(layer.weight_int.abs().max()) == 1 else 1.0), (name, same)


def test_unfolded_weights_keep_the_magnitudes_of_fresh_ones() -> None:
    torch.manual_seed(5)
    integers = torch.randint(-1, 2, (8, 4, 3, 3), dtype=torch.int8)
    fresh = torch.randn(8, 4, 3, 3)
    latent = unfold(integers, None, fresh)
    binary = unfold(torch.where(integers == 0, 1, integers), None, fresh)
    assert torch.equal(binary.abs().flatten().sort().values, fresh.abs().flatten().sort().values)
    kept = fresh.abs().flatten().sort().values[int((integers == 0).sum()) :]
    assert torch.equal(latent[integers != 0].abs().sort().values, kept.clamp(min=0.06 * kept[-1]))
    assert 0 < latent[integers == 0].abs().max() < 0.05 * kept[-1]
    assert torch.equal(latent.sign()[integers != 0], integers[integers != 0].float())


def test_a_recipe_names_the_run(tmp_path: Path) -> None:
    run(recipe(epochs=1), tmp_path / "first")
    begun = recipe(epochs=2, init=str(tmp_path / "first"), learning_rate=1e-9, warmup=0.0)
    run_until(begun, tmp_path / "second", 1)
    first, second = (state.load(tmp_path / name / state.FILE).model for name in ("first", "second"))
    for name in first:
        if name.endswith(".weight") and first[name].dim() >= 2:
            assert torch.allclose(first[name], second[name], atol=1e-6), name
    # Resumed as if it had never stopped.
    a = run(begun, tmp_path / "second", resume=True)
    b = run(begun, tmp_path / "whole")
    assert _same(a, b)
    with pytest.raises(UserError) as caught:
        check_recipe(recipe(init="models/none"), "recipe.toml")
    assert caught.value.code == "QD0101" and "init" in caught.value.where
    assert caught.value.help is not None and str(Path.cwd()) in caught.value.help


def _same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
