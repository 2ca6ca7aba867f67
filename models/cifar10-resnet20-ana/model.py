"""The network of this folder, for ``--weights``-style use and for reading; the checkpoint names it by its architecture."""

from __future__ import annotations

from qnn_deploy.nn.architectures.quant_resnet import QuantResNet


def model() -> QuantResNet:
    """The latent (trainable) network with this model's arguments."""
    return QuantResNet(weights={"name": "ana", "noise": "normal", "strategy": "expectation", "eps": 0.06, "scale": 0.6})
