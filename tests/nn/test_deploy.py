from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.nn.deploy import ThresholdActivation, deploy  # noqa: E402
from qnn_deploy.nn.layers import QuantLayer, fold  # noqa: E402
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
