"""The precisions of the matrix: quantisers of the weights and the activations between a network's first and last layer."""

from __future__ import annotations

import dataclasses

from qnn_deploy.nn.quantizers import Spec


@dataclasses.dataclass(frozen=True)
class Precision:
    """Quantisers of the layers between the first and the last."""

    weights: Spec
    activations: Spec


def _lsq(bits: int, signed: bool = False) -> Spec:
    return {"name": "lsq", "bits": bits, "signed": signed, "step": 0.37}


PRECISIONS: dict[str, Precision] = {
    "w1 a1": Precision("binary", "sign"),
    "w1-xnor a1": Precision("xnor", "sign"),
    "wT a1": Precision("twn", "sign"),
    "wT-fixed aT": Precision("fixed-threshold", "ternary"),
    "w1 aT": Precision("binary", "ternary"),
    "w1 a2": Precision("binary", _lsq(2)),
    "wT-tga a4": Precision("tga", _lsq(4)),
    "w2 a3s": Precision({"name": "int", "bits": 2}, _lsq(3, signed=True)),
    "w4 a4": Precision({"name": "int", "bits": 4}, _lsq(4)),
    "w8 a1": Precision("int8", "sign"),
    "w1-xnor a8": Precision("xnor", "int8"),
    "wTTQ a8": Precision("ttq", "int8"),
    "w8 a8": Precision("int8", "int8"),
    "wT a16": Precision("twn", "int16"),
}
# Every pair of a kind of weights and a kind of activations, for the networks of `PAIRED`.
WEIGHTS: dict[str, Spec] = {
    "w1": "binary",
    "w1-xnor": "xnor",
    "wT": "twn",
    "wTTQ": "ttq",
    "w2": {"name": "int", "bits": 2},
    "w4": {"name": "int", "bits": 4},
    "w8": "int8",
}
ACTIVATIONS: dict[str, Spec] = {
    "a1": "sign",
    "aT": "ternary",
    "a2": _lsq(2),
    "a3s": _lsq(3, signed=True),
    "a4": _lsq(4),
    "a8": "int8",
    "a16": "int16",
}
PAIRS = {f"{w} {a}": Precision(weights, activations) for w, weights in WEIGHTS.items() for a, activations in ACTIVATIONS.items()}
PAIRED = ("BinaryNet", "ResNet-20")
ALL = PRECISIONS | PAIRS
