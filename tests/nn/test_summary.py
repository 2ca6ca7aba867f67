from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402
from qnn_deploy.nn.layers import InputZero, QuantConv2d, QuantLinear, fold  # noqa: E402
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight, SignActivation  # noqa: E402
from qnn_deploy.nn.summary import export_weights, summary  # noqa: E402


def network() -> nn.Module:
    return nn.Sequential(
        InputZero([128]),
        QuantConv2d(1, 8, 3, Int8Weight(), padding=1),
        nn.BatchNorm2d(8),
        SignActivation(),
        nn.MaxPool2d(2),
        QuantConv2d(8, 16, 3, BinaryWeight(), stride=2),
        nn.Flatten(),
        QuantLinear(16 * 4, 10, Int8Weight(), bias=True),
    )


def test_bits_macs_and_bytes_are_those_counted_by_hand() -> None:
    found = summary(network(), (1, 12, 12))
    assert [(row.name, row.weight_bits, row.input_bits) for row in found.layers] == [("1", 8, 8), ("5", 1, 1), ("7", 8, 32)]
    assert [row.macs for row in found.layers] == [12 * 12 * 8 * 9, 2 * 2 * 16 * 72, 640]
    assert [row.output for row in found.layers] == [(8, 12, 12), (16, 2, 2), (10,)]
    assert [row.input_bytes for row in found.layers] == [144, 6 * 6 * 8 // 8, 64 * 4]
    assert found.macs_by_precision == {"8x8": 10368, "1x1": 4608, "8x32": 640} and found.macs == 15616
    assert found.parameters == 72 + 16 + 8 * 16 * 9 + 640 + 10 == found.float_bytes // 4
    assert found.packed_bytes == 72 + 8 * 16 * 9 / 8 + 640 + 4 * (16 + 10)
    assert found.peak_activation_bytes == 144 + 4 * 12 * 12 * 8


def test_folding_changes_no_figure_and_modes_are_left_alone() -> None:
    model = network()
    model[2].eval()
    before = summary(model, (1, 12, 12))
    assert model.training and not model[2].training
    assert before == summary(fold(model), (1, 12, 12))


def test_a_float_network_and_a_transposed_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 2, stride=2))
    found = summary(model, (3, 5, 5))
    assert [(row.macs, row.weight_bits, row.input_bits) for row in found.layers] == [(3 * 3 * 4 * 27, 32, 32), (9 * 4 * 8, 32, 32)]
    with pytest.raises(ValueError, match="shape="):
        summary(model)


def test_text_and_json() -> None:
    found = summary(ARCHITECTURES["digits-cnn"]())
    text = str(found)
    assert "1 x 1" in text and "kB packed" in text and max(map(len, text.splitlines())) < 100
    assert json.loads(json.dumps(found.as_dict()))["macs"] == found.macs


def test_exported_weights_are_what_the_layer_computes_with() -> None:
    model = network().eval()
    exported = export_weights(model)
    assert list(exported) == ["1", "5", "7"]
    assert exported["5"]["scale"] is None and set(exported["5"]["integers"].unique().tolist()) == {-1, 1}
    x = torch.randint(-3, 4, (2, 64)).float()
    head = exported["7"]
    assert head["integers"].dtype == torch.int8
    assert torch.equal(model[7](x), (x @ head["integers"].float().T) * head["scale"] + head["bias"])
    folded = export_weights(fold(model))
    for name, parts in exported.items():
        for part, tensor in parts.items():
            assert (tensor is None) == (folded[name][part] is None) and (tensor is None or torch.equal(tensor, folded[name][part]))
