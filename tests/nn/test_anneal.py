"""Ramps against their formulas, windows over layers, and what the scheduler refuses."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.anneal import Schedule, Scheduler, quantities, read_schedule  # noqa: E402
from qnn_deploy.nn.layers import QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import WeightQuantizer  # noqa: E402


class Annealed(WeightQuantizer):
    """A weight quantiser and activation with one quantity."""

    bits, levels, annealed = 1, (-1, 1), ("heat",)
    heat: Tensor

    def __init__(self, must: bool = False) -> None:
        super().__init__()
        self.register_buffer("heat", torch.tensor(7.0), persistent=False)
        self.must_anneal = ("heat",) if must else ()

    def forward(self, x: Tensor) -> Tensor:
        return x


def network(layers: int = 3, must: bool = False) -> nn.Module:
    """Dense layers whose weight and activation (but the last one's) are annealed."""
    modules: list[nn.Module] = []
    for layer in range(layers):
        modules.append(QuantLinear(4, 4, Annealed(must)))
        if layer < layers - 1:
            modules.append(Annealed(must))
    return nn.Sequential(*modules)


def values(model: nn.Module) -> list[float]:
    return [float(quantity.buffer) for quantity in quantities(model).values()]


S, F = 0.25, 5.0
FORMULAS = {
    "linear": (None, lambda u: S + (F - S) * u),
    "cosine": (None, lambda u: S + (F - S) * math.sin(math.pi * u / 2) ** 2),
    "quarter_cosine": (None, lambda u: S + (F - S) * 2 * math.sin(math.pi * u / 4) ** 2),
    "power": (2.0, lambda u: F - (F - S) * (1 - u) * (1 - u)),
    "cubic": (None, lambda u: S * (1 - u) ** 3 + F * (1 - (1 - u) ** 3)),
    "sigmoid": (
        None,
        lambda u: S + (F - S) * (1 / (1 + math.exp(5 - 10 * u)) - 1 / (1 + math.exp(5))) / (1 / (1 + math.exp(-5)) - 1 / (1 + math.exp(5))),
    ),
    "exponential": (None, lambda u: 10 ** (math.log10(S) + (math.log10(F) - math.log10(S)) * u)),
    "recu": (None, lambda u: (F - S) / (math.e - 1) * math.exp(u) + S - (F - S) / (math.e - 1)),
}


@pytest.mark.parametrize("ramp", FORMULAS)
def test_ramps_follow_their_formulas(ramp: str) -> None:
    power, formula = FORMULAS[ramp]
    schedule = Schedule("x", ramp, 0.2, 0.6, S, F, power=power)
    for progress in (0.2000001, 0.25, 0.3, 0.4, 0.45, 0.5999999):
        assert schedule.value(progress) == pytest.approx(formula((progress - 0.2) / 0.4), rel=1e-12)
    assert (schedule.value(0), schedule.value(0.2), schedule.value(0.6), schedule.value(1)) == (S, S, F, F)


def test_a_power_of_one_is_linear() -> None:
    assert Schedule("x", "power", start=1.0, final=0.0).value(0.25) == 0.75


def test_reste_and_ede_and_recu_have_their_published_values() -> None:
    reste = Schedule("o", "quarter_cosine", start=1.0, final=3.0)
    assert reste.value(0.5) == pytest.approx(1 + (1 - math.cos(math.pi / 4)) * 2, rel=1e-12)
    ede = Schedule("t", "exponential", start=1e-3, final=1e1)
    assert ede.value(0.5) == pytest.approx(1e-1, rel=1e-12)
    recu = Schedule("tau", "recu", start=0.85, final=0.99)
    assert recu.value(0.5) == pytest.approx(0.85 + 0.14 * (math.sqrt(math.e) - 1) / (math.e - 1), rel=1e-12)


def test_the_unbounded_window_counts_epochs_and_ends_at_its_floor() -> None:
    schedule = Schedule("x", "uws", 0.1, 1.0, 1.0, 0.0, power=2.0, step="epoch")
    for epoch in range(10, 41):
        assert schedule.value(epoch / 100, epochs=100) == pytest.approx((1 / (epoch - 10 + 1)) ** 2, rel=1e-9)
    assert schedule.value(0.42, epochs=100) == 0  # 33^-2 < 1e-3 < 31^-2
    assert Schedule("x", "uws", start=1.0, final=0.0).value(0.03, epochs=100) == pytest.approx(1 / 4)


def test_windows_of_the_four_orders() -> None:
    def windows(order: str) -> list[tuple[float, float]]:
        return [Schedule("x", order=order, begin=0.1, end=0.9).window(layer, 4) for layer in range(4)]

    assert windows("together") == [(0.1, 0.9)] * 4
    for order, expected in {
        "same_start": [(0.1, 0.3), (0.1, 0.5), (0.1, 0.7), (0.1, 0.9)],
        "same_end": [(0.7, 0.9), (0.5, 0.9), (0.3, 0.9), (0.1, 0.9)],
        "partition": [(0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9)],
    }.items():
        assert [edge for window in windows(order) for edge in window] == pytest.approx([edge for window in expected for edge in window])


def test_weight_and_activation_of_a_layer_share_a_timer() -> None:
    model = network()
    scheduler = Scheduler(model, [Schedule("heat", order="partition")])
    assert values(model) == [0.0] * 5
    scheduler.set_progress(0.5)
    assert values(model) == [1.0, 1.0, 0.5, 0.5, 0.0]


def test_an_activation_before_the_first_layer_goes_with_it() -> None:
    model = nn.Sequential(Annealed(), *network(2))
    Scheduler(model, [Schedule("heat", order="partition")]).set_progress(0.25)
    assert values(model) == [0.5, 0.5, 0.5, 0.0]


def test_modules_count_where_there_are_no_layers() -> None:
    model = nn.Sequential(Annealed(), Annealed())
    Scheduler(model, [Schedule("heat", order="partition")]).set_progress(0.5)
    assert values(model) == [1.0, 0.0]


def test_progressive_powers_fall_from_the_number_of_layers_to_one() -> None:
    schedule = Schedule("x", "power", start=1.0, final=0.0, power=2.0, power_law="progressive")
    assert [schedule.value(0.5, layer, 3) for layer in range(3)] == [0.5**6, 0.5**4, 0.5**2]


def test_epochs_hold_their_value() -> None:
    schedule = Schedule("x", step="epoch")
    for epochs in (3, 7, 49, 100, 300):
        for epoch in range(epochs):
            for step in (0, 1, 9):
                assert schedule.value((epoch + step / 10) / epochs, epochs=epochs) == pytest.approx(epoch / epochs, abs=1e-12)


def test_a_restored_scheduler_gives_the_same_trajectory() -> None:
    schedules = [Schedule("heat", "cubic", 0.1, 0.9, order="same_end")]
    whole, cut, resumed = network(), network(), network()
    a, b = Scheduler(whole, schedules), Scheduler(cut, schedules)
    for step in range(5):
        a.set_progress(step / 10)
        b.set_progress(step / 10)
    c = Scheduler(resumed, schedules)
    c.load_state_dict(b.state_dict())
    assert values(resumed) == values(whole) and len(set(values(whole))) > 1
    for step in range(5, 11):
        a.set_progress(step / 10)
        c.set_progress(step / 10)
        assert values(resumed) == values(whole)


@pytest.mark.parametrize(
    "schedules,words",
    [
        ([Schedule("*.haet")], ("no annealed quantity matches '*.haet'", "did you mean '*.heat'", "0.quantizer.heat, 1.heat")),
        ([Schedule("heat"), Schedule("1.*")], ("1.heat has two schedules: 'heat' and '1.*'",)),
        ([Schedule("heat", step="epoch")], ("counts in epochs",)),
        ([Schedule("1.heat")], ("0.quantizer.heat (and 3 more) has no schedule", '"*.heat"')),
    ],
)
def test_schedules_that_do_not_fit_are_refused(schedules: list[Schedule], words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        Scheduler(network(must=True), schedules)
    assert caught.value.code == "QD0202"
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_model_without_quantities_says_so() -> None:
    with pytest.raises(UserError, match="no annealed quantity at all"):
        Scheduler(nn.Linear(2, 2), [Schedule("heat")])


@pytest.mark.parametrize(
    "entries,word",
    [
        ({"ramp": "cubik"}, "cubic"),
        ({"order": "same_stat"}, "same_start"),
        ({"step": "steps"}, "step"),
        ({"begin": 0.6, "end": 0.5}, "window"),
        ({"end": 1.5}, "window"),
        ({"start": math.nan}, "finite"),
        ({"begin": True}, "finite"),
        ({"ramp": "exponential"}, "above 0"),
        ({"power": 2.0}, "takes no power"),
        ({"ramp": "power", "power": 0.0}, "above 0"),
        ({"power_law": "progressive"}, "progressive"),
        ({"finl": 1.0}, "final"),
        ({"target": 3}, "target"),
    ],
)
def test_bad_tables_are_refused_with_the_remedy(entries: dict[str, object], word: str) -> None:
    with pytest.raises(UserError) as caught:
        read_schedule({"target": "heat", **entries}, "schedules[0]")
    assert caught.value.code == "QD0202" and word in str(caught.value)


def test_values_do_not_recompile() -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        compiled.append(graph)
        return graph.forward

    class Scaled(Annealed):
        def forward(self, x: Tensor) -> Tensor:
            return x * self.heat

    model = nn.Sequential(Scaled())
    scheduler = Scheduler(model, [Schedule("heat")])
    forward = torch.compile(model, backend=backend)
    for step in range(5):
        scheduler.set_progress(step / 4)
        assert forward(torch.ones(3)).tolist() == [step / 4] * 3
    assert len(compiled) == 1
