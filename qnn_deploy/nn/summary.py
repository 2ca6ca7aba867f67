"""`summary`: what each layer of a network costs, trained as it is and deployed: bits, multiply-accumulates, memory. After Larq's summary.

Units: MACs per sample; bytes of memory, 1 kB = 1000 bytes; a b-bit weight counts b / 8 bytes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.nn.layers import InputZero, QuantLayer
from qnn_deploy.nn.quantizers import ActivationQuantizer

_PASS_BITS_ON = (nn.MaxPool2d, nn.Flatten, nn.Identity, nn.Dropout)
FLOAT_BITS = 32


@dataclasses.dataclass(frozen=True)
class LayerSummary:
    """One layer with weights.

    Attributes:
        name: path of the module. kind: its class.
        weight_bits, input_bits: precision of the two operands (32: float).
        weights: number of weights; other_parameters: bias and scales.
        output: shape of the output for one sample.
        macs: multiply-accumulates of one sample.
        input_bytes, output_bytes: of one sample; the output as the layer gives it, 32 bits a value.
    """

    name: str
    kind: str
    weight_bits: int
    input_bits: int
    weights: int
    other_parameters: int
    output: tuple[int, ...]
    macs: int
    input_bytes: int
    output_bytes: int

    @property
    def weight_bytes(self) -> float:
        """Bytes of the packed weights."""
        return self.weights * self.weight_bits / 8


@dataclasses.dataclass(frozen=True)
class Summary:
    """All layers, in the order in which they run, and the sums over them."""

    layers: tuple[LayerSummary, ...]
    parameters: int

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def macs_by_precision(self) -> dict[str, int]:
        """MACs of each pair of operand precisions, "weights x inputs", e.g. {"1x1": ..., "8x8": ...}."""
        sums: dict[str, int] = {}
        for layer in self.layers:
            key = f"{layer.weight_bits}x{layer.input_bits}"
            sums[key] = sums.get(key, 0) + layer.macs
        return sums

    @property
    def float_bytes(self) -> int:
        """Bytes of the same network in float32."""
        return 4 * self.parameters

    @property
    def packed_bytes(self) -> float:
        """Bytes with packed weights and every other parameter in float32."""
        return sum(layer.weight_bytes for layer in self.layers) + 4 * (self.parameters - sum(layer.weights for layer in self.layers))

    @property
    def peak_activation_bytes(self) -> int:
        """The largest input plus output of one layer, one sample."""
        return max((layer.input_bytes + layer.output_bytes for layer in self.layers), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema_version": 1,
            "layers": [dataclasses.asdict(layer) | {"weight_bytes": layer.weight_bytes} for layer in self.layers],
            "parameters": self.parameters,
            "macs": self.macs,
            "macs_by_precision": self.macs_by_precision,
            "float_bytes": self.float_bytes,
            "packed_bytes": self.packed_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
        }

    def __str__(self) -> str:
        head = ("layer", "kind", "bits w x a", "weights", "kB", "output", "MMAC")
        rows = [
            (
                layer.name,
                layer.kind,
                f"{layer.weight_bits} x {layer.input_bits}",
                f"{layer.weights:,}",
                f"{layer.weight_bytes / 1000:.2f}",
                "x".join(map(str, layer.output)),
                f"{layer.macs / 1e6:.3f}",
            )
            for layer in self.layers
        ]
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        left = (True, True, True, False, False, False, False)
        lines = [
            "  ".join(
                cell.ljust(width) if to_left else cell.rjust(width) for cell, width, to_left in zip(row, widths, left, strict=True)
            ).rstrip()
            for row in (head, *rows)
        ]
        shares = ", ".join(f"{key} {share / self.macs:.1%}" for key, share in self.macs_by_precision.items()) if self.macs else "none"
        lines += [
            "",
            f"{self.parameters:,} parameters; {self.packed_bytes / 1000:,.1f} kB packed, {self.float_bytes / 1000:,.1f} kB in float32"
            f" ({self.float_bytes / max(self.packed_bytes, 1):.1f}x)",
            f"{self.macs / 1e6:,.2f} million MACs (weights x activations: {shares})",
            f"{self.peak_activation_bytes / 1000:,.1f} kB: largest input and output of one layer",
        ]
        return "\n".join(lines)


@torch.no_grad()
def summary(model: nn.Module, shape: tuple[int, ...] | None = None) -> Summary:
    """Run ``model`` once on one sample and count.

    Args:
        model: any module of convolutions and dense layers, ours or torch's; its mode is left as it was.
        shape: of one input; ``model.input_shape`` where it is None.

    Raises:
        ValueError: no shape is given and the model does not say one.
    """
    shape = shape or getattr(model, "input_shape", None)
    if shape is None:
        raise ValueError("the model does not say what input it takes; give shape=(C, H, W)")
    bits: dict[int, int] = {}
    alive: list[Tensor] = []  # an id is a tensor's own while the tensor lives
    rows: list[LayerSummary] = []

    def remember(tensor: Tensor, value: int) -> None:
        alive.append(tensor)
        bits[id(tensor)] = value

    def hook(name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, (QuantLayer, nn.Conv2d, nn.Linear, nn.ConvTranspose2d, nn.Conv1d)):
                rows.append(_row(name, module, inputs[0], output, bits.get(id(inputs[0]), FLOAT_BITS)))
            elif isinstance(module, InputZero):
                remember(output, 8)
            elif isinstance(module, ActivationQuantizer):
                remember(output, module.bits)
            elif isinstance(module, _PASS_BITS_ON) and id(inputs[0]) in bits:
                remember(output, bits[id(inputs[0])])

        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules()]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        dtype = torch.uint8 if any(isinstance(module, InputZero) for module in model.modules()) else torch.float32
        model(torch.zeros(1, *shape, dtype=dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    folded = sum(m.weight_int.numel() for m in model.modules() if isinstance(m, QuantLayer) and m.weight_int is not None)
    return Summary(tuple(rows), sum(parameter.numel() for parameter in model.parameters()) + folded)


def _row(name: str, module: nn.Module, x: Tensor, y: Tensor, input_bits: int) -> LayerSummary:
    weight: object = module.weight
    weight_bits = FLOAT_BITS
    if isinstance(module, QuantLayer):
        weight = module.weight if module.weight is not None else module.weight_int
        weight_bits = module.quantizer.bits
    assert isinstance(weight, Tensor)
    # Each output value is a sum over one filter; a transposed convolution spreads each input value over one.
    values = x[0] if isinstance(module, nn.ConvTranspose2d) else y[0]
    channels = weight.shape[0]
    others = sum(parameter.numel() for parameter in module.parameters()) - (weight.numel() if isinstance(weight, nn.Parameter) else 0)
    return LayerSummary(
        name=name,
        kind=type(module).__name__,
        weight_bits=weight_bits,
        input_bits=input_bits,
        weights=weight.numel(),
        other_parameters=others,
        output=tuple(y.shape[1:]),
        macs=values.numel() * (weight.numel() // channels),
        input_bytes=math.ceil(x[0].numel() * input_bits / 8),
        output_bytes=4 * y[0].numel(),
    )


def export_weights(model: nn.Module) -> dict[str, dict[str, Tensor | None]]:
    """Where the ±1s are: layer name -> {"integers": int8 of the weight's shape, "scale": float32 or None, "bias": float32 or None}.

    Real weight = integers * scale, the scale [] or [out] broadcast over the output channels; of an asymmetric quantiser [2] or [2, out],
    the first row for positive, the second for negative integers. The tensors are copies.
    """
    weights: dict[str, dict[str, Tensor | None]] = {}
    for name, module in model.named_modules():
        if isinstance(module, QuantLayer):
            was = module.training
            with torch.no_grad():
                integers, scale = module.eval().quantized_weight()
            module.train(was)
            bias = getattr(module, "bias", None)
            weights[name] = {
                "integers": integers.to(torch.int8).clone(),
                "scale": scale.detach().float().clone() if scale is not None else None,
                "bias": bias.detach().clone() if isinstance(bias, Tensor) else None,
            }
    return weights
