"""A plain ResNet as anyone writes it, none of our layers in it: converted, trained for two epochs, folded, built and verified."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from qnn_deploy import api  # noqa: E402
from qnn_deploy.data import load  # noqa: E402
from qnn_deploy.errors import CompileErrors, UserError  # noqa: E402
from qnn_deploy.nn.convert import Conversion, calibrate, convert  # noqa: E402
from qnn_deploy.nn.layers import QuantConv2d, QuantLayer, fold  # noqa: E402

SHAPE = (3, 16, 16)


class Basic(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=True), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class PlainResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.layers = nn.Sequential(Basic(8, 8, 1), Basic(8, 16, 2))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        out = F.avg_pool2d(out, 8)
        return self.fc(out.view(out.size(0), -1))


def digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits as colour images of `SHAPE`, and their labels."""
    data = load("digits", split)
    return np.ascontiguousarray(np.kron(data.images * 15, np.ones((1, 3, 2, 2), np.uint8))), data.labels


def trained(conversion: Conversion) -> nn.Module:
    """A converted `PlainResNet` behind two epochs on the digits, in ``eval()``."""
    torch.manual_seed(0)
    model = convert(PlainResNet(), conversion)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    pixels, labels = map(torch.from_numpy, digits("train"))
    calibrate(model, [pixels[:64]])
    batches = [batch for _ in range(2) for batch in torch.randperm(len(pixels)).split(24)]
    # Falling to 0: without that, what two epochs arrive at depends on how the machine rounds.
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, len(batches))
    for batch in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(pixels[batch]), labels[batch]).backward()
        optimizer.step()
        falling.step()
    return model.eval()


@pytest.mark.parametrize("conversion", [
    Conversion(SHAPE, weights="binary", activations="int8", zero=(120, 121, 122), scale=1 / 64),
    Conversion(SHAPE, weights="int8", activations="int8", relu="drop"),
    Conversion(SHAPE, weights="binary", activations="sign", zero=(128,)),
])  # fmt: skip
def test_a_plain_resnet_converts_trains_and_deploys(conversion: Conversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(conversion)
    users_code = types.ModuleType("plain_resnet")
    users_code.MODEL, users_code.digits = model, digits  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plain_resnet", users_code)
    api.build("plain_resnet:MODEL", ("host",), ("qdm", "onnx", "exe"), tmp_path / "out")
    report = api.verify(tmp_path / "out", data="plain_resnet:digits", against="plain_resnet:MODEL", reference_limit=8)
    assert report.ok and report.trained["images"] == 449
    assert report.trained["correct"] > 135  # three times what guessing gives: two epochs are not many
    assert {row["correct"] for row in report.rows if row.get("images") == 449} == {report.trained["correct"]}


def test_without_quantisation_noise_it_is_the_float_network() -> None:
    # 16-bit activations and 8-bit weights that are integers already: what is left is the float network itself.
    torch.manual_seed(1)
    plain = PlainResNet().eval()
    for layer in plain.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.weight.data.mul_(64 / layer.weight.data.abs().amax()).round_()
            layer.weight.data.reshape(len(layer.weight), -1)[:, 0] = 127
    pixels = torch.randint(0, 256, (8, *SHAPE), dtype=torch.uint8)
    made = convert(plain, Conversion(SHAPE, weights="int8", activations="int16", last_activations="int16", zero=(100,), scale=0.5)).eval()
    calibrate(made, [pixels])
    wanted = plain((pixels.float() - 100) * 0.5)
    assert (made(pixels) - wanted).abs().max() < 0.01 * wanted.abs().max()
    assert not any(module.training for module in made.modules())


def test_the_model_given_is_not_changed_and_its_weights_become_latent() -> None:
    plain = PlainResNet()
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    made = convert(plain, Conversion(SHAPE))
    assert all(torch.equal(tensor, before[name]) for name, tensor in plain.state_dict().items())
    layers = [module for module in made.modules() if isinstance(module, QuantLayer)]
    assert len(layers) == 7 and isinstance(layers[0], QuantConv2d)
    assert [layer.quantizer.bits for layer in layers] == [8, 1, 1, 1, 1, 1, 8]
    assert torch.equal(layers[0].weight, plain.conv1.weight)


def test_folding_changes_no_bit() -> None:
    model = trained(Conversion(SHAPE, activations="int8"))
    pixels = torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8)
    with torch.no_grad():
        before = model(pixels)
        assert torch.equal(before, fold(model)(pixels))


def test_everything_that_cannot_be_deployed_is_listed() -> None:
    model = nn.Sequential(
        *[
            nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"),
            nn.GELU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 4, 3, 1, 1, padding_mode="circular"),
        ]
    )
    with pytest.raises(CompileErrors) as caught:
        convert(model, Conversion(SHAPE))
    assert [finding.where for finding in caught.value.findings] == ["layer 0", "layer 1", "layer 2", "layer 3"]
    assert "ReLU" in caught.value.findings[1].help


def test_attributes_of_convolutions_are_kept() -> None:
    float_layers = [
        nn.Conv2d(3, 6, (3, 2), 2, (1, 0)),
        nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=6),
        nn.Conv2d(12, 4, 4, padding="same"),
    ]
    model = convert(nn.Sequential(*float_layers), Conversion(SHAPE, activations="int8"))
    layers = [module for module in model.modules() if isinstance(module, QuantLayer)]
    x = torch.randint(-9, 9, (2, 12, *SHAPE[1:])).float()
    for layer, plain in zip(layers, float_layers, strict=True):
        weight = torch.randint(-3, 3, plain.weight.shape).float()
        plain.weight.data, plain.bias.data = weight, torch.zeros_like(plain.bias)
        assert torch.equal(layer.sums(x[:, : plain.in_channels], weight), plain(x[:, : plain.in_channels]))


@pytest.mark.parametrize("model,conversion,message", [
    (nn.Sequential(nn.ReLU()), Conversion(SHAPE), "no convolution"),
    (nn.Sequential(nn.Conv2d(4, 4, 3)), Conversion(SHAPE), "cannot trace"),
    (nn.Sequential(nn.Conv2d(3, 4, 3)), Conversion(SHAPE, relu="sometimes"), "relu"),
    (nn.Sequential(nn.Conv2d(3, 4, 3)), Conversion(SHAPE, first="binray"), "binray"),
])  # fmt: skip
def test_bad_conversions(model: nn.Module, conversion: Conversion, message: str) -> None:
    with pytest.raises(UserError, match=message):
        convert(model, conversion)
