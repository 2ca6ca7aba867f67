from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from qnn_deploy import api  # noqa: E402
from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402


def test_a_layer_on_pixels_is_not_binary_and_says_why() -> None:
    model = ARCHITECTURES["digits-cnn"]().train()
    names = list(model.state_dict())
    found = api.lint(model)
    first, *rest = found.layers
    assert found.deployable and not first.binary and "8 bits" in first.why
    assert rest and all(layer.binary and not layer.why for layer in rest)
    assert found.binary_share == sum(layer.macs for layer in rest) / sum(layer.macs for layer in found.layers)
    assert model.training and list(model.state_dict()) == names


def test_a_float_network_lists_every_reason() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    found = api.lint(model, input_spec="1x3x8x8:uint8")
    assert not found.deployable and not found.layers and found.binary_share == 0
    assert [finding.code for finding in found.findings] == ["QD0307", "QD0307"]
