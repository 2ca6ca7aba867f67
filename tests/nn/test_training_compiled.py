"""The annealed quantisers under torch.compile and bfloat16 autocast: one compilation for all values, and the eager result."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402
from torch._dynamo.backends.common import aot_autograd  # noqa: E402
from torch._functorch.aot_autograd import make_boxed_func  # noqa: E402

from qnn_deploy.nn.anneal import Schedule, Scheduler, quantities  # noqa: E402
from qnn_deploy.nn.functional import quantize  # noqa: E402
from qnn_deploy.nn.layers import QuantConv2d, QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import Spec, activation_quantizer, weight_quantizer  # noqa: E402
from qnn_deploy.nn.relu import ReLU  # noqa: E402

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_rectified_and_quantised_map_compiled(dtype: torch.dtype) -> None:
    """Ours against torch's ReLU and the formula of the gradient, at zeros of both signs, ties, and where a value is just clamped."""
    edges = torch.tensor([0.0, -0.0, 1e-45, 0.25, 0.75, 63.4, 63.5, 63.75, 64.0, 1e30, torch.inf, -torch.inf, -0.25], dtype=dtype)
    values = torch.cat([edges, torch.randn(4083).to(dtype) * 40]).requires_grad_()
    weight, scale = torch.randn(4096).to(dtype), torch.tensor(0.5)

    def ours(x: Tensor) -> Tensor:
        y = ReLU()(x)
        return quantize(y, scale, -127, 127) * weight + y * 0.5

    expected_relu = torch.relu(values)
    rounded = torch.round(expected_relu.detach().float() / scale)
    inside = ((rounded >= -127) & (rounded <= 127)).to(dtype)
    expected = rounded.clamp(-127, 127).to(dtype) * weight + expected_relu.detach() * 0.5
    gradient = ((weight * inside / scale).to(dtype) + 0.5) * (values.detach() > 0)
    for compiled in (False, True):
        torch._dynamo.reset()
        values.grad = None
        found = torch.compile(ours, backend="aot_eager")(values) if compiled else ours(values)
        found.backward(torch.ones_like(found))
        assert torch.equal(found.detach(), expected)
        assert torch.equal(values.grad, gradient)
