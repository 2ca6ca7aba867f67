"""The annealed quantisers under torch.compile and bfloat16 autocast: one compilation for all values, and the eager result."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402
from torch._dynamo.backends.common import aot_autograd  # noqa: E402
from torch._functorch.aot_autograd import make_boxed_func  # noqa: E402

from qnn_deploy.nn.anneal import Schedule, Scheduler, quantities  # noqa: E402
from qnn_deploy.nn.layers import QuantConv2d, QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import Spec, activation_quantizer, weight_quantizer  # noqa: E402

PAIRS: list[tuple[Spec, Spec]] = [
    ("ana", "ana"),
    ({"name": "ana", "bits": 1, "noise": "logistic", "strategy": "random"}, {"name": "ana", "strategy": "random", "mean": "dynamic"}),
    ({"name": "ana", "strategy": "mode", "noise": "normal", "eps": 0.5}, {"name": "ana", "bits": 1, "noise": "uniform"}),
    ("stompp", {"name": "stompp", "ste": True, "refresh": 0.5}),
    ({"name": "blend", "inner": "ttq", "compensate_lr": True}, "sign"),
    ({"name": "blend", "inner": "int8"}, "sign"),
]


def network(weights: Spec, activations: Spec) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        QuantConv2d(3, 8, 3, weight_quantizer(weights)),
        nn.BatchNorm2d(8),
        activation_quantizer(activations),
        nn.Flatten(),
        QuantLinear(128, 5, weight_quantizer(weights)),
    )


def train(model: nn.Module, forward: nn.Module) -> list[Tensor]:
    """Outputs of four steps under a schedule, and the weights behind them."""
    names = sorted({name.rpartition(".")[2] for name in quantities(model)})
    scheduler = Scheduler(model, [Schedule(f"*.{name}", end=0.8) for name in names])
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    kept, generator = [], torch.Generator().manual_seed(1)
    for progress in (0.0, 0.3, 0.7, 1.0):
        scheduler.set_progress(progress)
        with torch.autocast("cpu", torch.bfloat16):
            y = forward(torch.randn(4, 3, 6, 6, generator=generator))
        optimizer.zero_grad()
        y.float().square().mean().backward()
        scheduler.hold()
        optimizer.step()
        kept.append(y.detach().float())
    return [*kept, *[parameter.detach() for parameter in model.parameters()]]


@pytest.mark.parametrize("weights,activations", PAIRS)
def test_compiled_training_is_eager_training(weights: Spec, activations: Spec) -> None:
    compiled = []

    def keep(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        compiled.append(graph)
        return make_boxed_func(graph)

    torch._dynamo.reset()
    eager = network(weights, activations).train()
    other = copy.deepcopy(eager)
    expected = train(eager, eager)
    found = train(
        other, torch.compile(other, backend=aot_autograd(fw_compiler=keep, bw_compiler=lambda graph, inputs: make_boxed_func(graph)))
    )
    assert len(compiled) == 1
    for a, b in zip(expected, found, strict=True):
        assert bool(torch.isfinite(a).all())
        assert torch.equal(a, b)
