"""The network of this folder, for ``--weights``-style use and for reading; the checkpoint names it by its architecture."""

from __future__ import annotations

from qnn_deploy.nn.architectures.resnet import BinaryResNet


def model() -> BinaryResNet:
    """The latent (trainable) network with this model's arguments."""
    return BinaryResNet(activation="prelu")
