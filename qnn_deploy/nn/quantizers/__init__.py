"""Weight and activation quantisers: from latent float tensors to integer-valued tensors and a scale kept apart.

A new one is a class (see `_base` for the protocol) and a row in a registry below; recipes and `convert` take it by its name.
"""

from __future__ import annotations

from torch import nn

from qnn_deploy.nn.quantizers._base import ActivationQuantizer, FoldedWeight, WeightQuantizer
from qnn_deploy.nn.quantizers._spec import Spec, build
from qnn_deploy.nn.quantizers._surrogate import Surrogate
from qnn_deploy.nn.quantizers.activation import Int8Activation, Int16Activation, IntActivation, SignActivation
from qnn_deploy.nn.quantizers.binary import BinaryWeight
from qnn_deploy.nn.quantizers.integer import Int8Weight, IntWeight

WEIGHT_QUANTIZERS: dict[str, type[nn.Module]] = {
    "binary": BinaryWeight,
    "int": IntWeight,
    "int8": Int8Weight,
}

ACTIVATION_QUANTIZERS: dict[str, type[nn.Module]] = {
    "sign": SignActivation,
    "int8": Int8Activation,
    "int16": Int16Activation,
}


def weight_quantizer(spec: Spec) -> nn.Module:
    """A new weight quantiser: ``spec`` is a name of `WEIGHT_QUANTIZERS` or {"name": ..., **keyword arguments}.

    Raises:
        UserError: QD0202 for an unknown name or argument.
    """
    return build(spec, WEIGHT_QUANTIZERS, "weight quantiser")


def activation_quantizer(spec: Spec, channels: int | None = None) -> nn.Module:
    """A new activation quantiser: ``spec`` is a name of `ACTIVATION_QUANTIZERS` or {"name": ..., **keyword arguments}.

    Args:
        channels: of its input [N, channels, ...], for the quantisers that learn something for each.

    Raises:
        UserError: QD0202 for an unknown name or argument, or where the quantiser needs ``channels`` and neither says how many.
    """
    return build(spec, ACTIVATION_QUANTIZERS, "activation quantiser", channels=channels)


__all__ = [
    "ACTIVATION_QUANTIZERS",
    "WEIGHT_QUANTIZERS",
    "ActivationQuantizer",
    "BinaryWeight",
    "FoldedWeight",
    "Int8Activation",
    "Int8Weight",
    "Int16Activation",
    "IntActivation",
    "IntWeight",
    "SignActivation",
    "Spec",
    "Surrogate",
    "WeightQuantizer",
    "activation_quantizer",
    "weight_quantizer",
]
