from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.nn.deploy import ThresholdActivation, deploy  # noqa: E402
from qnn_deploy.nn.layers import InputZero, QuantConv2d, QuantLayer, QuantLinear, fold  # noqa: E402
from qnn_deploy.nn.quantizers import activation_quantizer, weight_quantizer  # noqa: E402
from tests.nn._networks import SMALL, network, pixels, slope_net  # noqa: E402


@pytest.mark.parametrize("name", list(SMALL))
@pytest.mark.parametrize("seed", range(3))
def test_folded_and_deployed_forms_give_the_same_bits(name: str, seed: int) -> None:
    model = network(name, seed)
    x = pixels(model, 48, seed)
    with torch.no_grad():
        expected = model(x)
        deployed = deploy(model)
        assert torch.equal(deployed(x), expected)
        assert not any(m.folded for m in model.modules() if isinstance(m, QuantLayer)), "deploy() must not touch the model"
        assert torch.equal(fold(model)(x), expected)
    assert expected.unique().numel() > 10, "constant logits would prove nothing"


def test_thresholds_replace_batchnorm_where_no_stream_passes() -> None:
    deployed = deploy(network("cnv", 0))
    kinds = [type(m) for m in deployed.modules()]
    assert kinds.count(ThresholdActivation) == 7
    assert torch.nn.BatchNorm2d not in kinds and torch.nn.BatchNorm1d not in kinds


@pytest.mark.parametrize(("negative", "count"), [(False, 3), (True, 2)])
def test_prelu_folds_unless_it_turns_back(negative: bool, count: int) -> None:
    model = slope_net(0, negative=negative)
    x = pixels(model, 48, 0)
    with torch.no_grad():
        expected = model(x)
        deployed = deploy(model)
        assert torch.equal(deployed(x), expected)
    assert sum(isinstance(m, ThresholdActivation) for m in deployed.modules()) == count


def test_a_wrong_threshold_is_caught() -> None:
    """Planted: one threshold moved onto the next attainable accumulator changes logits on some input."""
    model = network("digits-cnn", 0)
    deployed = deploy(model)
    x = pixels(model, 400, 1)
    with torch.no_grad():
        threshold = next(m for m in deployed.modules() if isinstance(m, ThresholdActivation)).threshold
        threshold += 2
        assert not torch.equal(deployed(x), model(x))


def test_sign_of_zero_planted_as_zero_is_caught() -> None:
    model = network("digits-cnn", 0)
    deployed = deploy(model)
    x = pixels(model, 400, 1)

    class TorchSign(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sign(x)

    # BatchNorm of an accumulator on its integer mean with beta 0 is exactly 0.
    for i, module in enumerate(model.layers):
        if type(module).__name__ == "SignActivation":
            model.layers[i] = TorchSign()
    with torch.no_grad():
        assert not torch.equal(model(x), deployed(x))


@pytest.mark.parametrize(
    "weights,name,thresholds",
    [
        ("ttq", "sign", 1),
        ({"name": "ttq", "symmetric": True}, "sign", 2),
        ("xnor", "shifted-sign", 0),
        ("twn", "lsq", 0),
        ("ir-net", "sign", 2),
    ],
    ids=str,
)
def test_every_form_of_scale_and_activation(weights: Any, name: str, thresholds: int) -> None:
    """An asymmetric weight has two accumulators: no threshold stands for their sum."""
    torch.manual_seed(0)
    layers = [
        *(QuantConv2d(1, 2, 3, weight_quantizer("int8"), padding=1), torch.nn.BatchNorm2d(2), activation_quantizer(name, channels=2)),
        *(
            QuantConv2d(2, 2, 3, weight_quantizer(weights), padding=1),
            torch.nn.BatchNorm2d(2),
            activation_quantizer(name, channels=2),
        ),
        *(torch.nn.Flatten(), QuantLinear(2 * 36, 5, weight_quantizer("int8"))),
    ]
    model = torch.nn.Sequential(InputZero([128]), *layers)
    x = torch.randint(0, 256, (40, 1, 6, 6), dtype=torch.uint8)
    model(x)  # statistics
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if path.endswith((".positive", ".negative", ".shift")):
                parameter.add_(torch.rand(parameter.shape) - 0.3)
        deployed = deploy(model.eval())
        assert torch.equal(deployed(x), model(x))
    assert sum(isinstance(module, ThresholdActivation) for module in deployed.modules()) == thresholds
