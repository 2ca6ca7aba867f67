"""Which parameters get which rules, learning rates over time, and the two-pass update."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from qnn_deploy.nn.layers import QuantConv2d, QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight  # noqa: E402
from qnn_deploy.train.lr_schedules import lr_factor  # noqa: E402
from qnn_deploy.train.optimizers import OptimizerSet, make_optimizer  # noqa: E402


class LearnsThreshold(Int8Weight):
    """A quantiser with a scale, and a threshold to be trained apart."""

    separate = ("threshold",)

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(0.1))
        self.learned_scale = nn.Parameter(torch.tensor(1.0))


def network() -> nn.Module:
    layers = (QuantConv2d(1, 2, 3, LearnsThreshold()), nn.BatchNorm2d(2), nn.PReLU(2), QuantLinear(4, 3, BinaryWeight(), bias=True))
    return nn.Sequential(*layers)


def rules(optimizer: OptimizerSet, model: nn.Module) -> dict[str, dict[str, Any]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [group for each in optimizer.main + optimizer.first for group in each.param_groups]
    found = [(names[id(parameter)], group) for group in groups for parameter in group["params"]]
    assert len(found) == len(names), "every parameter once"
    return dict(found)


def test_weight_decay_by_kind() -> None:
    model = network()
    found = rules(make_optimizer({"name": "sgd", "weight_decay": 0.5}, model, 0.1), model)
    decayed = {name for name, group in found.items() if group["weight_decay"]}
    assert decayed == {"0.weight", "3.weight", "0.quantizer.learned_scale"}


def test_own_groups_come_first() -> None:
    model = network()
    groups = [{"match": "*.quantizer.*", "factor": 0.1, "gradient_limit": 1e-3}, {"match": "1.*", "weight_decay": 0.2}]
    found = rules(make_optimizer({"name": "adamw", "groups": groups}, model, 0.1), model)
    assert found["0.quantizer.threshold"]["base"] == pytest.approx(0.01) and found["0.quantizer.threshold"]["gradient_limit"]
    assert found["1.bias"]["weight_decay"] == 0.2 and found["3.bias"]["weight_decay"] == 0 and found["3.weight"]["weight_decay"] == 0.01


def test_bop_takes_the_binary_weights_and_its_gamma_follows_the_schedule() -> None:
    model = network()
    optimizer = make_optimizer({"name": "bop", "gamma": 1e-3, "rest": {"name": "adam", "weight_decay": 0.1}}, model, 0.1)
    optimizer.set_factor(0.5)
    found = rules(optimizer, model)
    assert found["3.weight"]["gamma"] == 5e-4 and "gamma" not in found["0.weight"]
    assert found["0.weight"]["lr"] == 0.05 and found["0.weight"]["weight_decay"] == 0.1
    assert set(model[3].weight.abs().flatten().tolist()) == {1.0}


def test_two_passes_update_the_thresholds_first() -> None:
    model = network()
    groups = [{"match": "*.threshold", "gradient_limit": 1e-3}]
    optimizer = make_optimizer({"name": "sgd", "momentum": 0.0, "two_pass": True, "groups": groups}, model, 1.0)
    assert [len(group["params"]) for each in optimizer.first for group in each.param_groups] == [1]
    optimizer.set_factor(1.0)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(first=True)
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {"0.quantizer.threshold"}
    assert before["0.quantizer.threshold"] - model[0].quantizer.threshold == torch.tensor(0.1) - (torch.tensor(0.1) - 1e-3), "limited"
    optimizer.step()
    assert all(not torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_states_come_back() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        model = network()
        optimizer = make_optimizer({"name": "adam", "two_pass": True}, model, 0.1)
        if states:
            optimizer.load_state_dict(states[0])
        else:
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        states.append(optimizer.state_dict())
    assert str(states[0]) == str(states[1])


@pytest.mark.parametrize(
    "spec,expected",
    [
        ({"name": "cosine", "final": 0.0}, [0.0, 1.0, 0.5, 0.0]),
        ({"name": "cosine", "final": 0.2}, [0.0, 1.0, 0.6, 0.2]),
        ({"name": "linear", "final": 0.0}, [0.0, 1.0, 0.5, 0.0]),
        ({"name": "step", "at": [3, 6], "factor": 0.1}, [0.0, 1.0, 0.01, 0.01]),
        ({"name": "constant"}, [0.0, 1.0, 1.0, 1.0]),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_learning_rates(spec: dict[str, Any], expected: list[float]) -> None:
    found = [lr_factor(spec, progress, 0.2, 10) for progress in (0.0, 0.2, 0.6, 1.0)]
    assert found == pytest.approx(expected)
    assert lr_factor(spec, 0.1, 0.2, 10) == 0.5


def test_steps_fall_on_whole_epochs() -> None:
    spec = {"name": "step", "at": [3], "factor": 0.5}
    assert [lr_factor(spec, epoch / 10, 0.0, 10) for epoch in range(5)] == [1, 1, 1, 0.5, 0.5]
    assert lr_factor(spec, 2.999 / 10, 0.0, 10) == 1
