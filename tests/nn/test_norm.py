from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.layers import QuantConv2d, QuantLinear  # noqa: E402
from qnn_deploy.nn.norm import ScaleBias, arrange  # noqa: E402
from qnn_deploy.nn.quantizers import BinaryWeight, SignActivation  # noqa: E402


def kinds(norm: str, *, relu: bool = True) -> list[type]:
    modules = arrange(norm, QuantConv2d(4, 6, 3, BinaryWeight()), SignActivation(), nn.ReLU() if relu else None, nn.MaxPool2d(2))
    assert nn.Sequential(*modules)(torch.randn(2, 4, 8, 8)).shape == (2, 6, 3, 3)
    return [type(module) for module in modules]


def test_orders() -> None:
    conv, pool, norm, relu, quantizer = QuantConv2d, nn.MaxPool2d, nn.BatchNorm2d, nn.ReLU, SignActivation
    assert kinds("post") == [conv, pool, norm, relu, quantizer]
    assert kinds("post", relu=False) == [conv, pool, norm, quantizer]
    assert kinds("post_act") == [conv, pool, relu, norm, quantizer]
    assert kinds("pre") == [norm, relu, quantizer, conv, pool]
    assert kinds("none") == [conv, pool, ScaleBias, relu, quantizer]


def test_channels_and_axes_of_the_norm() -> None:
    for norm, channels in (("post", 5), ("pre", 7)):
        modules = arrange(norm, QuantLinear(7, 5, BinaryWeight()), None)
        found = next(module for module in modules if isinstance(module, nn.BatchNorm1d))
        assert found.num_features == channels and len(modules) == 2


def test_scale_and_bias_stand_for_the_norm() -> None:
    module = next(m for m in arrange("none", QuantConv2d(4, 6, 3, BinaryWeight()), None) if isinstance(m, ScaleBias))
    assert module.scale.tolist() == pytest.approx([1 / math.sqrt(36)] * 6) and module.bias.tolist() == [0.0] * 6
    with torch.no_grad():
        module.scale.copy_(torch.arange(6.0))
        module.bias.copy_(torch.arange(6.0) * 10)
    for shape in ((1, 6), (1, 6, 2, 2)):
        y = module(torch.full(shape, 2.0)).reshape(6, -1)
        assert y[:, 0].tolist() == [12.0 * c for c in range(6)] and torch.equal(y[:, 0], y[:, -1])


def test_bad_orders() -> None:
    layer = QuantLinear(2, 2, BinaryWeight())
    with pytest.raises(UserError, match="unknown norm 'post_atc'") as caught:
        arrange("post_atc", layer, None)
    assert "post_act" in caught.value.help
    with pytest.raises(UserError, match="non-linearity"):
        arrange("post_act", layer, None)
