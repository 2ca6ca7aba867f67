"""The networks that a checkpoint may name, as one table. A checkpoint stores the name and arguments, never code."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from qnn_deploy.nn.architectures.cnv import Cnv
from qnn_deploy.nn.architectures.digits import DigitsCnn
from qnn_deploy.nn.architectures.quant_resnet import QuantResNet
from qnn_deploy.nn.architectures.resnet import BinaryResNet

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "cnv": Cnv,
    "binary-resnet": BinaryResNet,
    "resnet": QuantResNet,
    "digits-cnn": DigitsCnn,
}
