"""StoMPP: masks, gradients, and the end state."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn import draws  # noqa: E402
from qnn_deploy.nn.anneal import Schedule, Scheduler  # noqa: E402
from qnn_deploy.nn.functional import sign  # noqa: E402
from qnn_deploy.nn.layers import QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import StomppActivation, StomppWeight, activation_quantizer, weight_quantizer  # noqa: E402

SHAPE = torch.Size((200, 300))
COUNT = 60_000


def weights(frozen: float, **options: object) -> StomppWeight:
    quantizer = StomppWeight(seed=3, **options).train()  # type: ignore[arg-type]
    quantizer.frozen.fill_(frozen)
    return quantizer


def latent() -> torch.Tensor:
    return (torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))).requires_grad_()


@pytest.mark.parametrize("frozen", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_mask_freezes_its_share(frozen: float) -> None:
    share = weights(frozen).mask(SHAPE).sum().item()
    assert abs(share - COUNT * frozen) <= 5 * math.sqrt(COUNT * frozen * (1 - frozen))


@pytest.mark.parametrize("ste", [False, True])
def test_frozen_entries_are_signs_and_others_clipped(ste: bool) -> None:
    quantizer, w = weights(0.5, ste=ste), latent()
    mask = quantizer.mask(SHAPE)
    y, scale = quantizer(w)
    assert scale is None
    assert torch.equal(y[mask], sign(w.detach())[mask]) and torch.equal(y[~mask], w[~mask].clamp(-1, 1))
    y.backward(torch.full(SHAPE, 3.0))
    inside = (w.detach().abs() <= 1).float()
    assert torch.equal(w.grad, 3 * (inside if ste else inside * ~mask))


@pytest.mark.parametrize("refresh", [0.0, 0.05, 0.3, 1.0])
def test_a_refresh_draws_its_share_anew_at_each_step(refresh: float) -> None:
    quantizer = weights(0.5, refresh=refresh)
    w = latent().detach()
    quantizer.steps.fill_(1_000_000)  # late in a long run too
    for _ in range(3):
        before = quantizer.mask(SHAPE)
        quantizer(w)
        changed = (before != quantizer.mask(SHAPE)).sum().item()
        expected = COUNT * refresh / 2  # half of what is drawn anew at p = 1/2 stays what it was
        assert abs(changed - expected) <= 5 * math.sqrt(expected) and (changed > 0) == (refresh > 0)


def test_without_refresh_frozen_entries_stay_frozen() -> None:
    quantizer = weights(0.0, refresh=0.0)
    last = quantizer.mask(SHAPE)
    for frozen in (0.2, 0.5, 0.9, 1.0):
        quantizer.frozen.fill_(frozen)
        quantizer(latent())
        mask = quantizer.mask(SHAPE)
        assert not (last & ~mask).any()
        last = mask


def test_masks_repeat_with_the_seed_and_the_state() -> None:
    a, b, other = weights(0.5), weights(0.5), StomppWeight(seed=4).train()
    other.frozen.fill_(0.5)
    assert torch.equal(a.mask(SHAPE), b.mask(SHAPE)) and not torch.equal(a.mask(SHAPE), other.mask(SHAPE))
    for _ in range(40):
        a(latent())
    assert not torch.equal(a.mask(SHAPE), b.mask(SHAPE))
    other.load_state_dict(a.state_dict())
    assert torch.equal(a.mask(SHAPE), other.mask(SHAPE))
    torch.manual_seed(9)
    first = StomppWeight()
    torch.manual_seed(9)
    assert torch.equal(first.seed, StomppWeight().seed) and not torch.equal(first.seed, StomppWeight().seed)


def test_a_batch_shares_its_mask() -> None:
    quantizer = StomppActivation(seed=0).train()
    quantizer.frozen.fill_(0.5)
    y = quantizer(torch.full((5, 8, 4, 4), 0.25))
    assert set(y.unique().tolist()) == {0.25, 1.0} and all(torch.equal(y[0], sample) for sample in y)


@pytest.mark.parametrize("ste", [False, True])
def test_the_end_state_is_the_sign(ste: bool) -> None:
    w = latent()
    assert torch.equal(weights(1.0, ste=ste)(w)[0], sign(w.detach()))
    for module in (weight_quantizer({"name": "stompp", "ste": ste}).eval(), activation_quantizer("stompp").eval()):
        y = module(w)
        assert torch.equal(y[0] if isinstance(y, tuple) else y, sign(w.detach()))


@pytest.mark.parametrize("ste", [False, True])
def test_weights_rest_at_the_end_without_the_straight_through_gradient(ste: bool) -> None:
    layer = QuantLinear(4, 3, StomppWeight(ste=ste))
    scheduler = Scheduler(layer, [Schedule("frozen", end=0.9)])
    for progress, rests in ((0.5, False), (0.9, not ste)):
        scheduler.set_progress(progress)
        layer(torch.ones(1, 4)).sum().backward()
        scheduler.hold()
        assert (layer.weight.grad is None) == rests


def test_eval_is_the_folded_form_bit_for_bit() -> None:
    layer = QuantLinear(40, 12, weight_quantizer("stompp")).eval()
    x = torch.randint(-20, 21, (16, 40)).float()
    with torch.no_grad():
        before = layer(x)
        layer.fold()
        assert torch.equal(layer(x), before) and layer.weight_int.unique().tolist() == [-1, 1]


def test_a_bad_share_is_refused() -> None:
    with pytest.raises(UserError, match=r"not 1\.5"):
        weight_quantizer({"name": "stompp", "refresh": 1.5})


def test_draws_are_uniform_and_know_their_keys() -> None:
    seed, other = torch.tensor(1), torch.tensor(2)
    u, v = draws.uniform(SHAPE, seed), draws.uniform(SHAPE, other)
    assert u.min() >= 0 and u.max() < 1
    histogram = torch.histc(u, 16, 0, 1)
    assert float(((histogram - COUNT / 16) ** 2 / (COUNT / 16)).sum()) < 45  # chi-squared, 15 degrees of freedom: 1e-4
    for a, b in ((u, v), (u[:, 1:], u[:, :-1]), (u[1:], u[:-1])):
        assert abs(float(((a - 0.5) * (b - 0.5)).mean()) * 12) < 5 / math.sqrt(COUNT)
    assert torch.equal(draws.uniform((7,), seed, other), draws.uniform((7,), seed, other))
    assert not torch.equal(draws.uniform((7,), seed, other), draws.uniform((7,), other, seed))
