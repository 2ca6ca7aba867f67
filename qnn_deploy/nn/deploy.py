"""Deploy form: the trained network in PyTorch with integer weights and integer thresholds, bit-equal to ``model.eval()``.

Thresholds are found by running torch's own layers at every attainable accumulator, so this form is a second, independent derivation
beside the compiler's (which scans the numpy reference).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn

from qnn_deploy.errors import UserError
from qnn_deploy.nn import functional
from qnn_deploy.nn.layers import QuantLayer, QuantLinear, fold
from qnn_deploy.nn.quantizers import ActivationQuantizer, SignActivation
from qnn_deploy.nn.threads import one_thread

# Values of a scan at a time.
_CHUNK = 1 << 18


class ThresholdActivation(nn.Module):
    """+1 where ``direction * acc >= threshold`` (per channel, axis 1), else -1; acc integer-valued [N, C, ...]."""

    threshold: Tensor
    direction: Tensor

    def __init__(self, threshold: Tensor, direction: Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)
        self.register_buffer("direction", direction)

    def forward(self, acc: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (acc.dim() - 2))
        return torch.where(acc * self.direction.reshape(shape) >= self.threshold.reshape(shape), 1.0, -1.0)


class _Tracer(fx.Tracer):
    """Keeps this package's layers and all of torch's as single calls."""

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        return isinstance(module, (QuantLayer, ActivationQuantizer, nn.ReLU)) or super().is_leaf_module(module, path)


def deploy(model: nn.Module) -> nn.Module:
    """A folded copy of ``model`` in which every sign right behind a convolution or dense layer (with BatchNorm, scales or pooling
    between) is a `ThresholdActivation` on the integer accumulator. Same input, same logits, bit for bit.
    Where a PReLU or LeakyReLU of negative slope makes such a function switch twice, the layer stays as it is.

    Raises:
        UserError: QD0309 where such a function is not monotone for any other reason, with the layer and channel.
    """
    model = fold(copy.deepcopy(model))
    with torch.no_grad(), one_thread():
        graph = _Tracer().trace(model)
        traced = fx.GraphModule(model, graph)
        modules = dict(traced.named_modules())
        for node in list(graph.nodes):
            if node.op == "call_module" and isinstance(modules[node.target], SignActivation):
                _replace(traced, graph, modules, node)
    graph.eliminate_dead_code()
    graph.lint()
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced.eval()


def _replace(traced: fx.GraphModule, graph: fx.Graph, modules: dict[str, nn.Module], sign: fx.Node) -> None:
    """Turn [reduction, pool?, elementwise..., sign] into [integer reduction, pool?, threshold]."""
    chain: list[nn.Module] = []
    node = sign.args[0]
    while isinstance(node, fx.Node) and node.op == "call_module" and len(node.users) == 1:
        module = modules[node.target]  # type: ignore[index]
        if isinstance(module, QuantLayer):
            break
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU, nn.PReLU, nn.LeakyReLU, nn.Hardtanh)):
            chain.insert(0, module)
        elif not (isinstance(module, nn.MaxPool2d) and _is_reduction(modules, node.args[0])):
            return
        node = node.args[0]
    else:
        return
    layer = modules[node.target]  # type: ignore[index]
    assert isinstance(layer, QuantLayer) and layer.weight_int is not None
    if layer.asymmetric or (isinstance(layer, QuantLinear) and layer.bias is not None):
        return  # a function of two accumulators, or of a sum
    found = _scan(layer, chain, max(_largest_input(modules, node.args[0]), abs(getattr(layer, "padding_value", 0))), str(node.target))
    if found is None:
        return
    threshold, direction = found
    path = f"{str(sign.target).replace('.', '_')}_threshold"
    traced.add_submodule(path, ThresholdActivation(threshold, direction))
    modules[path] = traced.get_submodule(path)
    if layer.weight_scale is not None:
        layer.set_folded(layer.weight_int, None)
    before = sign.args[0]
    for _ in chain:
        before = before.args[0]  # type: ignore[union-attr]
    with graph.inserting_after(sign):
        new = graph.call_module(path, (before,))
    sign.replace_all_uses_with(new)
    graph.erase_node(sign)


def _is_reduction(modules: dict[str, nn.Module], node: object) -> bool:
    return isinstance(node, fx.Node) and node.op == "call_module" and isinstance(modules[node.target], QuantLayer)  # type: ignore[index]


def _largest_input(modules: dict[str, nn.Module], node: object) -> int:
    """The largest absolute value that the layer's input takes."""
    while isinstance(node, fx.Node) and node.op == "call_module":
        module = modules[node.target]  # type: ignore[index]
        if isinstance(module, ThresholdActivation):
            return 1
        if isinstance(module, ActivationQuantizer):
            return max(-module.levels[0], module.levels[1])
        if not isinstance(module, (nn.MaxPool2d, nn.Flatten)):
            break
        node = node.args[0]
    return 255


def _turns(module: nn.Module) -> bool:
    """True for an activation that falls below 0 and rises above."""
    if isinstance(module, nn.PReLU):
        return bool((module.weight < 0).any())
    return isinstance(module, nn.LeakyReLU) and module.negative_slope < 0


def _scan(layer: QuantLayer, chain: list[nn.Module], largest_input: int, name: str) -> tuple[Tensor, Tensor] | None:
    """Thresholds and directions [C] of sign(chain(acc * scale)) over every integer that the layer's accumulator can reach.

    None where a negative slope makes it switch twice.
    """
    weight = layer.weight_int.float()  # type: ignore[union-attr]
    # A superset of the attainable accumulators (zero points narrow it further) costs time, never exactness.
    bound = int(weight.abs().flatten(1).sum(1).max()) * largest_input
    channels = len(weight)
    first = torch.full((channels,), bound + 1.0)
    last = torch.full((channels,), -bound - 1.0)
    start = end = torch.zeros(channels)
    changes = torch.zeros(channels)
    previous: Tensor | None = None
    ones = [1] * (weight.dim() - 2)
    chunk = max(1, _CHUNK // channels)
    for low in range(-bound, bound + 1, chunk):
        grid = torch.arange(low, min(low + chunk, bound + 1), dtype=torch.float32)
        x = grid[:, None].repeat(1, channels)
        values = x * layer.weight_scale if layer.weight_scale is not None else x.clone()  # activations may work in place
        values = values.reshape(*values.shape, *ones)
        for module in chain:
            values = module(values)
        bits = functional.sign(values.reshape(len(grid), channels))
        if previous is None:
            start = bits[0]
        else:
            changes += bits[0] != previous
        changes += (bits[1:] != bits[:-1]).sum(0)
        positive = bits > 0
        first = torch.minimum(first, torch.where(positive, x, bound + 1.0).amin(0))
        last = torch.maximum(last, torch.where(positive, x, -bound - 1.0).amax(0))
        previous = end = bits[-1]
    if bool((changes > 1).any()):
        if any(_turns(module) for module in chain):
            return None
        channel = int((changes > 1).nonzero()[0])
        raise UserError("QD0309", f"the activation of channel {channel} is not monotone in its accumulator", where=f"layer {name}")
    rising = end >= start
    direction = torch.where(rising, 1.0, -1.0)
    return torch.where(rising, first, -last), direction
