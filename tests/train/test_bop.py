"""Bop against its rule written as a loop over single weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.train.bop import Bop  # noqa: E402


def gradients(steps: int) -> torch.Tensor:
    return torch.randn(steps, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("gamma,threshold", [(0.1, 0.0), (0.25, 0.2), (1.0, 0.7)])
def test_weights_follow_the_loop(gamma: float, threshold: float) -> None:
    start = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight = torch.nn.Parameter(start.clone())
    optimizer = Bop([weight], gamma, threshold)
    w = [1.0 if v >= 0 else -1.0 for v in start.flatten().tolist()]
    assert weight.flatten().tolist() == w
    m, total = [0.0] * 35, 0
    for gradient in gradients(30):
        weight.grad = gradient.clone()
        optimizer.step()
        flips = 0
        for i, g in enumerate(gradient.flatten().tolist()):
            m[i] = (1 - gamma) * m[i] + gamma * g
            if abs(m[i]) > threshold and m[i] * w[i] > 0:
                w[i], flips = -w[i], flips + 1
        assert weight.flatten().tolist() == w
        assert int(optimizer.flips) == flips
        total += flips
    assert total > 20


def test_defaults_are_the_published_ones() -> None:
    group = Bop([torch.nn.Parameter(torch.ones(1))]).param_groups[0]
    assert (group["gamma"], group["threshold"]) == (1e-4, 1e-8)


def test_an_average_at_the_threshold_or_zero_does_not_flip() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = Bop([weight], gamma=1.0, threshold=0.5)
    weight.grad = torch.tensor([0.5, 0.50001, 0.0])
    optimizer.step()
    assert weight.tolist() == [1, -1, 1]
    optimizer.param_groups[0]["threshold"] = 0.0
    weight.grad = torch.zeros(3)
    optimizer.step()
    assert weight.tolist() == [1, -1, 1]


def test_a_restored_optimiser_goes_on_as_it_would_have() -> None:
    def run(weight: torch.nn.Parameter, optimizer: Bop, part: torch.Tensor) -> None:
        for gradient in part:
            weight.grad = gradient.clone()
            optimizer.step()

    whole, cut = (torch.nn.Parameter(torch.ones(5, 7, dtype=torch.float64)) for _ in range(2))
    a, b = Bop([whole], 0.1), Bop([cut], 0.1)
    run(whole, a, gradients(20))
    run(cut, b, gradients(20)[:9])
    resumed = torch.nn.Parameter(cut.detach().clone())
    c = Bop([resumed], 0.9)
    c.load_state_dict(b.state_dict())
    run(resumed, c, gradients(20)[9:])
    assert torch.equal(whole, resumed) and (whole == -1).any()


def test_a_weight_without_gradient_stays_and_a_closure_is_called() -> None:
    moving, still = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = Bop([moving, still], gamma=1.0)

    def closure() -> torch.Tensor:
        loss = moving.sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure)) == 2
    assert moving.tolist() == [-1, -1] and still.tolist() == [1, 1]


@pytest.mark.parametrize("bad", [{"gamma": 0.0}, {"gamma": 1.5}, {"threshold": -1.0}])
def test_bad_arguments(bad: dict[str, float]) -> None:
    with pytest.raises(UserError) as caught:
        Bop([torch.nn.Parameter(torch.ones(1))], **bad)
    assert caught.value.code == "QD0202"


def test_a_weight_of_zero_starts_as_plus_one() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0, -0.0, -1e-30]))
    Bop([weight])
    assert weight.tolist() == [1, 1, -1]
