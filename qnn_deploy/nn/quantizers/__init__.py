"""Weight and activation quantisers: from latent float tensors to integer-valued tensors and a scale kept apart.

A new one is a class (see `_base` for the protocol) and a row in a registry below; recipes and `convert` take it by its name.
"""

from __future__ import annotations

from qnn_deploy.nn.quantizers._base import ActivationQuantizer, FoldedWeight, WeightQuantizer
from qnn_deploy.nn.quantizers._spec import Spec, build
from qnn_deploy.nn.quantizers._surrogate import Surrogate
from qnn_deploy.nn.quantizers.activation import Int8Activation, Int16Activation, IntActivation, SignActivation
from qnn_deploy.nn.quantizers.ana import AnaActivation, AnaWeight
from qnn_deploy.nn.quantizers.binary import BinaryConnectWeight, BinaryWeight
from qnn_deploy.nn.quantizers.blend import BlendedWeight
from qnn_deploy.nn.quantizers.dorefa import DoReFaWeight
from qnn_deploy.nn.quantizers.integer import Int8Weight, IntWeight
from qnn_deploy.nn.quantizers.learned_activation import LsqActivation, PactActivation
from qnn_deploy.nn.quantizers.low_bit_activation import ShiftedSignActivation, TernaryActivation
from qnn_deploy.nn.quantizers.scaled_binary import IRNetWeight, ReCUWeight, XnorWeight
from qnn_deploy.nn.quantizers.stompp import StomppActivation, StomppWeight
from qnn_deploy.nn.quantizers.ternary import AbsmeanWeight, FixedThresholdWeight, TernaryWeight
from qnn_deploy.nn.quantizers.tga import TGAWeight, split_parameters
from qnn_deploy.nn.quantizers.ttq import TTQWeight

WEIGHT_QUANTIZERS: dict[str, type[WeightQuantizer]] = {
    "binary": BinaryWeight,
    "binary-connect": BinaryConnectWeight,
    "xnor": XnorWeight,
    "dorefa": DoReFaWeight,
    "ir-net": IRNetWeight,
    "recu": ReCUWeight,
    "twn": TernaryWeight,
    "fixed-threshold": FixedThresholdWeight,
    "absmean": AbsmeanWeight,
    "ttq": TTQWeight,
    "tga": TGAWeight,
    "ana": AnaWeight,
    "blend": BlendedWeight,
    "stompp": StomppWeight,
    "int": IntWeight,
    "int8": Int8Weight,
}

ACTIVATION_QUANTIZERS: dict[str, type[ActivationQuantizer]] = {
    "sign": SignActivation,
    "shifted-sign": ShiftedSignActivation,
    "ternary": TernaryActivation,
    "pact": PactActivation,
    "lsq": LsqActivation,
    "ana": AnaActivation,
    "stompp": StomppActivation,
    "int8": Int8Activation,
    "int16": Int16Activation,
}


def weight_quantizer(spec: Spec) -> WeightQuantizer:
    """A new weight quantiser: ``spec`` is a name of `WEIGHT_QUANTIZERS` or {"name": ..., **keyword arguments}.

    Raises:
        UserError: QD0202 for an unknown name or argument.
    """
    return build(spec, WEIGHT_QUANTIZERS, "weight quantiser")


def activation_quantizer(spec: Spec, channels: int | None = None) -> ActivationQuantizer:
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
    "AbsmeanWeight",
    "ActivationQuantizer",
    "AnaActivation",
    "AnaWeight",
    "BinaryConnectWeight",
    "BinaryWeight",
    "BlendedWeight",
    "DoReFaWeight",
    "FixedThresholdWeight",
    "FoldedWeight",
    "IRNetWeight",
    "Int8Activation",
    "Int8Weight",
    "Int16Activation",
    "IntActivation",
    "IntWeight",
    "LsqActivation",
    "PactActivation",
    "ReCUWeight",
    "ShiftedSignActivation",
    "SignActivation",
    "Spec",
    "StomppActivation",
    "StomppWeight",
    "Surrogate",
    "TGAWeight",
    "TTQWeight",
    "TernaryActivation",
    "TernaryWeight",
    "WeightQuantizer",
    "XnorWeight",
    "activation_quantizer",
    "split_parameters",
    "weight_quantizer",
]
