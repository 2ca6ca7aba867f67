"""Progressive freezing: which layers stand still."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from qnn_deploy.nn.layers import QuantConv2d  # noqa: E402
from qnn_deploy.nn.quantizers import weight_quantizer  # noqa: E402
from qnn_deploy.train.progressive import freeze  # noqa: E402


def _network(quantised: bool) -> nn.Sequential:
    """A float convolution and its BatchNorm in front of two more, quantised or not."""

    def conv() -> nn.Module:
        return QuantConv2d(4, 4, 3, weight_quantizer("binary")) if quantised else nn.Conv2d(4, 4, 3)

    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), conv(), nn.BatchNorm2d(4), conv(), nn.BatchNorm2d(4)).train()


@pytest.mark.parametrize("quantised", [False, True])
def test_nothing_is_frozen_where_nothing_was_asked(quantised: bool) -> None:
    """A float network has no quantised layer to stop at: once, all its BatchNorms stood still and it learnt nothing."""
    model = _network(quantised)
    freeze(model, 0)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_only_quantised_layers_and_what_is_behind_them() -> None:
    model = _network(True)
    freeze(model, 1)
    assert [module.training for module in model] == [True, True, False, False, True, True]
