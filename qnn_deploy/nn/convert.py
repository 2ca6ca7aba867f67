"""`convert`: a user's float network, as it stands, becomes one with quantised weights and activations that trains on and then deploys.

The network is traced with ``torch.fx``; its own code is not changed. Behind each rewritten layer the scales of input and weights are
multiplied back, so that the converted network starts near the float one.
"""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from qnn_deploy.errors import CompileErrors, QnnDeployError, UserError
from qnn_deploy.nn.layers import InputZero, QuantConv2d, QuantLinear
from qnn_deploy.nn.quantizers import IntActivation, activation_quantizer, weight_quantizer

Spec = str | Mapping[str, Any]

_RELU = (F.relu, F.relu_, torch.relu, torch.relu_, F.relu6)
_LAYERS = (nn.Conv2d, nn.Linear)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What `convert` makes of a network.

    Attributes:
        weights, activations: quantisers of every layer between the first and the last (see `quantizers`).
        first, last: weight quantisers of the first and the last layer; the first reads 8-bit pixels, the last ``last_activations``.
        last_activations: quantiser in front of the last layer.
        shape: of one input, [C, H, W].
        zero: integer zero point of each input channel: the mean pixel.
        scale: real value of one step of a pixel, 1 / (255 * standard deviation) where the float network was trained on normalised pixels.
        relu: "keep", "drop", or "auto": drop it where the activations are signed and of
            two or three levels (the sign of a ReLU's output is always +1).
    """

    shape: tuple[int, ...]
    weights: Spec = "binary"
    activations: Spec = "sign"
    first: Spec = "int8"
    last: Spec = "int8"
    last_activations: Spec = "int8"
    zero: Sequence[int] = (0,)
    scale: float = 1.0
    relu: str = "auto"


class QuantizedLayer(nn.Module):
    """``layer(quantizer(x)) * scale of the input (+ bias)``: what stands in the place of one float layer.

    Args:
        quantizer: of the input; None where the input is integer-valued already.
        layer: `QuantConv2d` or `QuantLinear`, without bias.
        bias: of the float layer, [out_channels], or None.
        scale: real value of one step of the input, used where ``quantizer`` has none of its own.
    """

    def __init__(self, quantizer: nn.Module | None, layer: nn.Module, bias: Tensor | None, scale: float = 1.0) -> None:
        super().__init__()
        self.quantizer, self.layer = quantizer, layer
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None else None
        self.register_buffer("input_scale", torch.tensor(scale) if scale != 1.0 else None)

    def forward(self, x: Tensor) -> Tensor:
        if self.quantizer is not None:
            x = self.quantizer(x)
        y = self.layer(x)
        scale = getattr(self.quantizer, "scale", self.input_scale)
        if isinstance(scale, Tensor):
            y = y * scale
        if self.bias is not None:
            y = y + (self.bias.reshape(-1, 1, 1) if y.dim() == 4 else self.bias)
        return y


class IntegerMeanPool(nn.Module):
    """The mean of each channel over the map, taken over 8-bit integers and scaled afterwards: [N, C, H, W] -> [N, C] or [N, C, 1, 1]."""

    def __init__(self, pixels: int, keep: bool) -> None:
        super().__init__()
        self.quantizer = IntActivation(8)
        self.pixels, self.keep = pixels, keep

    def forward(self, x: Tensor) -> Tensor:
        y = self.quantizer(x).sum(dim=(2, 3)) * (self.quantizer.scale / self.pixels)
        return y[:, :, None, None] if self.keep else y


class Converted(nn.Module):
    """The traced network behind its pixels: uint8 [N, C, H, W] in."""

    def __init__(self, conversion: Conversion, body: fx.GraphModule) -> None:
        super().__init__()
        self.input_shape = tuple(conversion.shape)
        zero = tuple(conversion.zero)
        self.input = InputZero(zero * conversion.shape[0] if len(zero) == 1 else zero)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.input(x))


def convert(model: nn.Module, conversion: Conversion) -> Converted:
    """A trainable, deployable copy of ``model``; ``model`` is not changed. Its float weights become the latent weights.

    Convolutions and dense layers take the quantisers of ``conversion``; a global average pool becomes a sum of integers; BatchNorm,
    max-pool, additions, concatenations and reshapes stay. Call `calibrate` before training, `layers.fold` after it.

    Raises:
        UserError: QD0202 for an unknown quantiser; QD0106 for a conversion that fits no network or a model that torch.fx cannot trace.
        CompileErrors: QD0301, every layer that has no deployable form, with its name.
    """
    if conversion.relu not in ("auto", "keep", "drop"):
        raise UserError("QD0202", f"relu takes 'auto', 'keep' or 'drop', not {conversion.relu!r}")
    try:
        traced = fx.symbolic_trace(copy.deepcopy(model))
        training = traced.training
        traced.eval()
        with torch.no_grad():
            ShapeProp(traced).propagate(torch.zeros(2, *conversion.shape))
        traced.train(training)
    except Exception as error:  # fx and the user's own code raise anything
        help = "control flow that depends on data cannot be traced; build such a network from our layers instead"
        raise UserError("QD0106", f"torch.fx cannot trace the model: {error}", where=type(model).__name__, help=help) from error
    modules = dict(traced.named_modules())
    layers = [node for node in traced.graph.nodes if node.op == "call_module" and isinstance(modules[node.target], _LAYERS)]
    findings = [problem for node in traced.graph.nodes if (problem := _problem(node, modules)) is not None]
    if findings:
        raise CompileErrors(findings)
    if not layers:
        raise UserError("QD0106", "the model has no convolution or dense layer", where=type(model).__name__)
    if len({node.target for node in layers}) < len(layers):
        raise UserError("QD0106", "a layer is used twice: its two inputs would need one scale", where=type(model).__name__)
    low, high = activation_quantizer(conversion.activations, 1).levels
    drop = conversion.relu == "drop" or (conversion.relu == "auto" and low < 0 and high - low <= 2)
    for node in list(traced.graph.nodes):
        if node in layers:
            first, last = node is layers[0], node is layers[-1] and len(layers) > 1
            weights = conversion.first if first else conversion.last if last else conversion.weights
            activations = conversion.last_activations if last else conversion.activations
            _set_module(traced, node.target, _layer(modules[node.target], weights, None if first else activations, conversion.scale))
        elif drop and _is(node, modules, _RELU, ("relu", "relu_"), (nn.ReLU, nn.ReLU6)):
            node.replace_all_uses_with(node.args[0])
        elif (pool := _global_pool(node, modules)) is not None:
            name = f"integer_{node.name}"
            traced.add_submodule(name, pool)
            with traced.graph.inserting_after(node):
                node.replace_all_uses_with(traced.graph.call_module(name, (node.args[0],)))
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return Converted(conversion, traced)


@torch.no_grad()
def calibrate(model: nn.Module, batches: Sequence[Tensor]) -> None:
    """Set the scales of the integer activations from ``batches`` (uint8 [N, C, H, W] each); nothing else changes.

    Without it the scales find their place in the first hundred steps of training.
    """
    quantizers = [module for module in model.modules() if isinstance(module, IntActivation)]
    momenta = [module.momentum for module in quantizers]
    training = {module: module.training for module in model.modules()}
    model.eval()
    for count, batch in enumerate(batches):
        for module in quantizers:
            module.train()
            module.momentum = 1 / (count + 1)
        model(batch)
    for module, momentum in zip(quantizers, momenta, strict=True):
        module.momentum = momentum
    for each, was in training.items():
        each.training = was


def _layer(layer: nn.Conv2d | nn.Linear, weights: Spec, activations: Spec | None, scale: float) -> QuantizedLayer:
    """The quantised form of a float convolution or dense layer; ``activations`` None for the layer that reads the pixels."""
    channels = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
    quantizer = activation_quantizer(activations, channels) if activations is not None else None
    made: QuantConv2d | QuantLinear
    if isinstance(layer, nn.Conv2d):
        made = QuantConv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            weight_quantizer(weights),
            stride=layer.stride,
            padding=_margins(layer),
            dilation=layer.dilation,
            groups=layer.groups,
        )
    else:
        made = QuantLinear(layer.in_features, layer.out_features, weight_quantizer(weights))
    assert made.weight is not None
    made.weight.data.copy_(layer.weight.data)
    made.reset_quantizer()
    return QuantizedLayer(quantizer, made, layer.bias, scale if activations is None else 1.0)


def _margins(layer: nn.Conv2d) -> tuple[int, ...]:
    """Margins of a float convolution as `QuantConv2d` takes them; of an odd total, torch's "same" puts the extra row behind."""
    if isinstance(layer.padding, tuple):
        return layer.padding
    total = [(k - 1) * d if layer.padding == "same" else 0 for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
    return (*(each // 2 for each in total), *(each - each // 2 for each in total))


def _is(
    node: fx.Node,
    modules: Mapping[str, nn.Module],
    functions: Sequence[Callable[..., Any]],
    methods: Sequence[str],
    kinds: tuple[type, ...],
) -> bool:
    return (
        (node.op == "call_function" and node.target in functions)
        or (node.op == "call_method" and node.target in methods)
        or (node.op == "call_module" and isinstance(modules[str(node.target)], kinds))
    )


def _global_pool(node: fx.Node, modules: Mapping[str, nn.Module]) -> IntegerMeanPool | None:
    """The integer form of a mean over whole maps; None for any other node."""
    mean = _is(node, modules, (torch.mean,), ("mean",), ())
    average = _is(node, modules, (F.adaptive_avg_pool2d, F.avg_pool2d), (), (nn.AdaptiveAvgPool2d, nn.AvgPool2d))
    if not mean and not average:
        return None
    before, after = _shape(node.args[0]), _shape(node)
    if before is None or after is None or len(before) != 4:
        return None
    if after[:2] != before[:2] or any(size != 1 for size in after[2:]):
        return None
    return IntegerMeanPool(before[2] * before[3], keep=len(after) == 4)


def _shape(node: object) -> tuple[int, ...] | None:
    meta = node.meta.get("tensor_meta") if isinstance(node, fx.Node) else None
    return tuple(meta.shape) if meta is not None else None


_STAYS_MODULES = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.MaxPool2d, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.PReLU, nn.Identity, nn.Flatten, nn.Dropout),
    *_LAYERS,
)
_STAYS_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *_RELU,
    F.max_pool2d,
    F.hardtanh,
    F.dropout,
    torch.flatten,
    torch.cat,
    torch.add,
    torch.reshape,
    operator.add,
    operator.iadd,
    *(operator.getitem, getattr, operator.mul, operator.floordiv, torch.clamp),
)
_STAYS_METHODS = ("add", "add_", "relu", "relu_", "view", "reshape", "flatten", "size", "clamp", "contiguous", "squeeze", "clamp_")


def _problem(node: fx.Node, modules: Mapping[str, nn.Module]) -> QnnDeployError | None:
    """Why a node has no deployable form; None where it has."""
    if node.op in ("placeholder", "output", "get_attr") or _global_pool(node, modules) is not None:
        return None
    if _is(node, modules, _STAYS_FUNCTIONS, _STAYS_METHODS, _STAYS_MODULES):
        layer = modules[str(node.target)] if node.op == "call_module" else None
        if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
            what = f"padding by {layer.padding_mode}"
            return QnnDeployError("QD0301", f"no deployable form of {what}", where=f"layer {node.target}", help="pad with zeros")
        return None
    what = type(modules[str(node.target)]).__name__ if node.op == "call_module" else getattr(node.target, "__name__", str(node.target))
    help = {
        "AvgPool2d": "an average over part of a map: use a max-pool, or a convolution with a stride",
        "avg_pool2d": "an average over part of a map: use a max-pool, or a convolution with a stride",
        "GELU": "use ReLU or PReLU",
        "SiLU": "use ReLU or PReLU",
    }.get(what, "")
    return QnnDeployError(
        "QD0301", f"no deployable form of {what}", where=f"layer {node.target if node.op == 'call_module' else node.name}", help=help
    )


def _set_module(root: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(root.get_submodule(parent), name, module)
