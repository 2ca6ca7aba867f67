"""Layers with every quantiser: latent and folded bits, asymmetric scales, checkpoints, bfloat16, torch.compile."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402
from qnn_deploy.nn.layers import QuantConv2d, QuantLayer, QuantLinear, fold  # noqa: E402
from qnn_deploy.nn.quantizers import ACTIVATION_QUANTIZERS, WEIGHT_QUANTIZERS, WeightQuantizer, activation_quantizer, weight_quantizer  # noqa: E402
from tests.nn._networks import hard_batch_norm, pixels  # noqa: E402

MORE: list[Any] = [
    {"name": "ttq", "per": "channel"},
    {"name": "ttq", "symmetric": True},
    {"name": "ttq", "symmetric": True, "per": "channel"},
    {"name": "twn", "per": "channel"},
    {"name": "int", "bits": 2},
    {"name": "int", "bits": 4, "per": "layer"},
    {"name": "dorefa", "bits": 4},
    {"name": "binary-connect", "bound": "glorot", "stochastic": True},
]
SPECS = [*WEIGHT_QUANTIZERS, *MORE]


def shake(model: nn.Module) -> None:
    """Learned scales away from their initial values."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, QuantLayer):
                for parameter in module.quantizer.parameters():
                    parameter.mul_(0.5 + torch.rand(parameter.shape, generator=generator))


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_folding_keeps_the_bits(spec: Any, kind: str) -> None:
    torch.manual_seed(0)
    if kind == "conv":
        layer: QuantLayer = QuantConv2d(3, 4, 3, weight_quantizer(spec), stride=2, padding=1)
        x = torch.randint(-127, 128, (2, 3, 7, 7)).float()
    else:
        layer = QuantLinear(12, 2, weight_quantizer(spec), bias=True)
        x = torch.randint(-127, 128, (5, 12)).float()
    shake(layer)
    folded = copy.deepcopy(layer)
    folded.fold()  # in training mode: what is stored is the deployed form all the same
    assert folded.folded and folded.weight_int is not None and folded.weight_int.dtype == torch.int8
    assert [name for name in folded.state_dict() if name != "bias"] == ["weight_int", "weight_scale"][
        : 1 + (folded.weight_scale is not None)
    ]
    with torch.no_grad():
        assert torch.equal(layer.eval()(x).view(torch.int32), folded.eval()(x).view(torch.int32))
    with torch.enable_grad():
        assert torch.equal(layer(x), folded(x))


@pytest.mark.parametrize("out", [2, 3])
def test_asymmetric_scales_weigh_two_integer_sums(out: int) -> None:
    """Also with two output channels, where [2] might be taken for one scale a channel."""
    layer = QuantLinear(5, out, weight_quantizer("ttq"))
    with torch.no_grad():
        layer.quantizer.positive.fill_(0.3)
        layer.quantizer.negative.fill_(0.7)
    layer.fold()
    x = torch.randint(-100, 100, (9, 5)).float()
    t = layer.weight_int.float()
    expected = (x @ (t > 0).float().T) * torch.tensor(0.3) + (x @ (t < 0).float().T) * -torch.tensor(0.7)
    assert torch.equal(layer(x), expected)


def test_asymmetric_training_forward_is_the_same_function() -> None:
    """Exact where the scales are powers of two, for then no order of summation rounds."""
    for spec in ("ttq", {"name": "ttq", "per": "channel"}):
        layer = QuantConv2d(3, 4, 3, weight_quantizer(spec))
        with torch.no_grad():
            layer.quantizer.positive.fill_(0.5)
            layer.quantizer.negative.fill_(2.0)
        x = torch.randint(-127, 128, (2, 3, 6, 6)).float()
        assert torch.equal(layer.train()(x), layer.eval()(x))


def test_scale_of_the_layer_and_of_the_channel_reach_their_outputs() -> None:
    class Fixed(WeightQuantizer):
        bits, levels = 2, (-1, 1)

        def __init__(self, scale: torch.Tensor) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.ones_like(weight), self.scale

    x = torch.ones(1, 2, 3, 3)
    assert QuantConv2d(2, 3, 3, Fixed(torch.tensor(0.1)))(x).flatten().tolist() == [torch.tensor(18.0).mul(0.1).item()] * 3
    y = QuantConv2d(2, 3, 3, Fixed(torch.tensor([1.0, 2.0, 3.0])))(x)
    assert y.flatten().tolist() == [18, 36, 54]


def test_reset_after_loading_weights() -> None:
    layer = QuantLinear(6, 3, weight_quantizer("tga"))
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-4, 2, 18).reshape(3, 6))  # type: ignore[union-attr]
    delta = layer.quantizer.delta
    layer.reset_quantizer()
    assert layer.quantizer.delta is delta and float(delta.detach()) == torch.tensor(4.0).mul(0.05).item()


SMALL = {"blocks": 1, "channels": [8, 8, 16]}


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_checkpoints_hold_every_form_of_scale(tmp_path: Path, spec: Any) -> None:
    arguments = {**SMALL, "weights": spec}
    torch.manual_seed(0)
    model = hard_batch_norm(ARCHITECTURES["resnet"](**arguments), 0)
    shake(model)
    checkpoint.save(tmp_path / "m.pt", model, "resnet", arguments, {})
    loaded, _ = checkpoint.load(tmp_path / "m.pt")
    x = pixels(model, 6, 0)
    with torch.no_grad():
        assert torch.equal(model.eval()(x), loaded(x))
    assert not [name for name in loaded.state_dict() if "quantizer" in name]


def test_checkpoint_of_another_quantiser_is_refused(tmp_path: Path) -> None:
    """Same integers, another form of scale: the arguments and the state must agree."""
    path = tmp_path / "m.pt"
    model = ARCHITECTURES["resnet"](**SMALL, weights="ttq")
    checkpoint.save(path, model, "resnet", {**SMALL, "weights": {"name": "ttq", "symmetric": True}}, {})
    with pytest.raises(UserError, match=r"weight_scale is torch.float32 \[2\], not torch.float32 \[\]") as caught:
        checkpoint.load(path)
    assert caught.value.code == "QD0102"
    checkpoint.save(path, model, "resnet", {**SMALL, "weights": "binary"}, {})
    with pytest.raises(UserError, match=r"unknown tensor blocks\.0\.layers\.1\.weight_scale"):
        checkpoint.load(path)


def test_ternary_weights_out_of_range_are_refused(tmp_path: Path) -> None:
    model = fold(ARCHITECTURES["resnet"](**SMALL, weights="twn"))
    model.blocks[0].layers[1].weight_int[0, 0, 0, 0] = 2
    checkpoint.save(tmp_path / "m.pt", model, "resnet", {**SMALL, "weights": "twn"}, {})
    with pytest.raises(UserError, match=r"blocks.0.layers.1.weight_int holds 2; its weights lie in \[-1, 1\]"):
        checkpoint.load(tmp_path / "m.pt")


def test_names_in_the_state_of_the_first_networks_are_unchanged() -> None:
    """Checkpoints of runs under way hold these."""
    names = set(ARCHITECTURES["binary-resnet"](blocks=1).state_dict())
    assert not [name for name in names if "quantizer" in name or "surrogate" in name]
    assert {"stem.weight", "units.0.conv.weight", "features.scale", "pooled.scale", "head.weight", "head.bias"} <= names


class Chain(nn.Module):
    """x + activation(norm(layer(x))) for each pair of quantisers."""

    def __init__(self, weights: list[Any], activations: list[Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(QuantLinear(8, 8, weight_quantizer(spec)) for spec in weights)
        specs = [activations[i % len(activations)] for i in range(len(weights))]
        self.activations = nn.ModuleList(activation_quantizer(spec, channels=8) for spec in specs)
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, norm, activation in zip(self.layers, self.norms, self.activations, strict=True):
            x = x + activation(norm(layer(x)))
        return x


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_compiled_graphs_are_whole_and_do_not_depend_on_annealed_values() -> None:
    weights = ["ir-net", "ttq", "tga"]
    activations: list[Any] = [
        {"name": "sign", "estimator": {"name": "reste", "scale": "std"}},
        "lsq",
        {"name": "pact", "power_of_two": True},
    ]
    eager, compiled = Chain(weights, activations), Chain(weights, activations)
    count = CompileCounterWithBackend("eager")
    run = torch.compile(compiled, backend=count, fullgraph=True)
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    before = gradients(eager)
    for value in (1.0, 0.5):
        for model in (eager, compiled):
            for module in model.modules():
                for name in getattr(module, "annealed", ()):
                    getattr(module, name).fill_(2 * value)
            model.zero_grad()
        eager(x).square().sum().backward()
        run(x).square().sum().backward()
        expected, found = gradients(eager), gradients(compiled)
        assert count.frame_count == 1
        assert expected.keys() == found.keys() == dict(eager.named_parameters()).keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()), msg=name)
        assert before.keys() != expected.keys() or not torch.equal(before["layers.0.weight"], expected["layers.0.weight"])
        before = {name: gradient.clone() for name, gradient in expected.items()}


def test_bfloat16_autocast_trains_every_quantiser() -> None:
    model = Chain(SPECS, list(ACTIVATION_QUANTIZERS))
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x)
    y.float().square().sum().backward()
    assert all(gradient.dtype == torch.float32 and bool(torch.isfinite(gradient).all()) for gradient in gradients(model).values())
    assert set(gradients(model)) == {name for name, _ in model.named_parameters()}
