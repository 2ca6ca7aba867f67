"""Convolutions in canonical form, and why others are refused."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.ir.edit import constant
from qnn_deploy.passes._importing import split_scale
from qnn_deploy.passes.departures import departures_of
from qnn_deploy.passes.normalise_conv import NormaliseConv
from tests.passes._l0 import kinds, l0, refusals, run

NET = "net (float[2, 1, 4, 4] x) => (y) <float[2, 1, 2, 2] w = {{{weights}}}, float[2] b = {{{bias}}}, int64[8] p = {{{pad}}}, float v = {{{value}}}>"
INTEGERS = "1, -1, 1, -1, 2, 0, -3, 127"


def _net(steps: str, weights: str = INTEGERS, bias: str = "1, -2", pad: str = "0, 0, 1, 1, 0, 0, 1, 2", value: str = "0") -> str:
    return NET.format(weights=weights, bias=bias, pad=pad, value=value) + f" {{ {steps} }}"


def _attributes(steps: str, **options: str) -> dict[str, object]:
    model = l0(_net(steps, **options))
    assert run(model, NormaliseConv) == []
    (node,) = [node for node in model.graph if node.op_type == "Conv"]
    return {name: attribute.value for name, attribute in node.attributes.items()}


def test_every_attribute_is_written() -> None:
    expected = {"kernel_shape": (2, 2), "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1}
    assert _attributes("y = Conv (x, w)") == expected
    assert _attributes('y = Conv <auto_pad = "VALID", strides = [2, 1]> (x, w)') == expected | {"strides": (2, 1)}


@pytest.mark.parametrize(("mode", "pads"), [("SAME_UPPER", (0, 0, 1, 1)), ("SAME_LOWER", (1, 1, 0, 0))])
def test_same_padding_is_written_out(mode: str, pads: tuple[int, ...]) -> None:
    assert _attributes(f'y = Conv <auto_pad = "{mode}"> (x, w)')["pads"] == pads


def test_zero_padding_in_front_goes_inside() -> None:
    assert _attributes("a = Pad (x, p, v) y = Conv <pads = [1, 0, 1, 0]> (a, w)")["pads"] == (2, 1, 2, 2)


def test_padding_with_another_integer_stays_in_front() -> None:
    model = l0(_net("a = Pad (x, p, v) y = Conv <pads = [1, 0, 1, 0]> (a, w)", value="-1"))
    assert run(model, NormaliseConv) == []
    assert kinds(model) == ["q.Pad", "Conv"]
    assert {name: each.value for name, each in model.graph[0].attributes.items()} == {"pads": (1, 1, 1, 2), "value": -1}


@pytest.mark.parametrize("options", [{"value": "0.5"}, {"pad": "0, 1, 0, 0, 0, 0, 0, 0"}, {"pad": "0, 0, -1, 0, 0, 0, 0, 0"}])
def test_other_padding_is_refused(options: dict[str, str]) -> None:
    (finding,) = run(l0(_net("a = Pad (x, p, v) y = Conv (a, w)", **options)), NormaliseConv)
    assert (finding.code, "height and width" in finding.help) == ("QD0301", True)


def test_integer_bias_moves_behind() -> None:
    model = l0(_net("y = Conv (x, w, b)"))
    assert run(model, NormaliseConv) == []
    assert kinds(model) == ["Conv", "q.Bias"]
    bias = constant(list(model.graph)[1].inputs[1])
    assert bias is not None
    assert bias.tolist() == [1, -2]
    assert [node.metadata_props["qnn_deploy.layer"] for node in model.graph] == ["layer0", "layer0"]


def test_zero_bias_goes() -> None:
    model = l0(_net("y = Conv (x, w, b)", bias="0, -0.0"))
    assert run(model, NormaliseConv) == []
    assert kinds(model) == ["Conv"]


@pytest.mark.parametrize(
    ("options", "code", "text", "help"),
    [
        ({"weights": "nan, 1, 1, 1, 1, 1, 1, 1"}, "QD0305", "NaN", ""),
    ],
)
def test_refused(options: dict[str, str], code: str, text: str, help: str) -> None:
    model = l0(_net("y = Conv (x, w, b)", **{name: value.replace("nan", "0") for name, value in options.items()}))
    if "nan" in options.get("weights", ""):
        array = np.array(constant(model.graph.initializers["w"]))
        array.flat[0] = np.nan
        import onnx_ir as ir

        model.graph.initializers["w"].const_value = ir.tensor(array, name="w")
    (finding,) = run(model, NormaliseConv)
    assert (finding.code, finding.where) == (code, "layer0 (net.py:0 in forward)")
    assert text in finding.message
    assert help in finding.help


def test_float_weights_are_an_island() -> None:
    model = l0(_net("y = Conv (x, w, b)", weights="0.5, -0.3142, 0.5, 0.5, 0.25, -0.25, 0.25, 0.25", bias="1, 2"))
    assert run(model, NormaliseConv) == []
    assert kinds(model) == ["q.FloatConv", "q.Bias"]
    (departure,) = departures_of(model.graph)
    assert "float island" in departure.what and "QuantConv2d" in departure.remedy


def test_computed_weights_are_one_finding() -> None:
    steps = "f = Cast <to = 1> (x) s = Sign (w) a = Abs (w) m = ReduceMean (a) k = Mul (s, m) c = Conv (f, k) y = Flatten (c)"
    text = _net(steps).replace("float[2, 1, 4, 4] x", "uint8[2, 1, 4, 4] x").replace("=> (y)", "=> (float[2, 18] y)")
    (finding,) = refusals(l0(text))
    assert finding.code == "QD0305"
    assert "Mul" in finding.message and "ReduceMean" in finding.message


def test_one_dimension_is_refused() -> None:
    text = "net (float[2, 1, 4] x) => (y) <float[2, 1, 2] w = {1, 1, 1, 1}> { y = Conv (x, w) }"
    (finding,) = run(l0(text), NormaliseConv)
    assert (finding.code, "1-D" in finding.message) == ("QD0301", True)


@pytest.mark.parametrize(
    ("options", "expected", "departs"),
    [
        ({"bias": "0.5, 1"}, ["Conv", "q.Bias"], "the bias is no multiple"),
        ({"weights": "0.5, -0.5, 0.5, 0.5, 0.25, -0.25, 0.25, 0.25", "bias": "0.5, 0.75"}, ["Conv", "q.Scale", "q.Bias"], ""),
        ({"weights": "0.3, -0.3, 0, 0.3, 0, -0.7, 0.7, 0.7"}, ["Conv", "q.Scale", "q.Bias"], "a scale times integers and torch"),
        ({"weights": "1.0000001, -1, 1, 1, 0.9999999, 1, 1, 1"}, ["Conv", "q.Scale", "q.Bias"], "off by up to 1.2e-07"),
    ],
)
def test_scales_and_biases_go_behind(options: dict[str, str], expected: list[str], departs: str) -> None:
    """A power of two leaves torch's own bits; anything else is noted with its layer and line."""
    model = l0(_net("y = Conv (x, w, b)", **options))
    assert run(model, NormaliseConv) == []
    assert kinds(model) == expected
    noted = departures_of(model.graph)
    assert [each.layer for each in noted] == (["layer0 (net.py:0 in forward)"] if departs else [])
    assert not departs or (departs in noted[0].what and noted[0].remedy)


@pytest.mark.parametrize("levels", [1, 3, 7, 100, 127])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_scale_is_found_again(levels: int, per_channel: bool) -> None:
    rng = np.random.default_rng(levels)
    integers = rng.integers(-levels, levels + 1, (8, 5, 3, 3)).astype(np.float32)
    integers[:, 0, 0, 0], integers[:, 0, 0, 1] = levels, 1
    scale = rng.uniform(0.01, 3, 8 if per_channel else 1).astype(np.float32)
    found = split_scale(integers * scale.reshape(-1, 1, 1, 1))
    assert found is not None
    assert np.array_equal(found[0], integers)
    assert np.allclose(found[1], scale, rtol=1e-6, atol=0)


def test_numbers_at_random_have_no_scale() -> None:
    rng = np.random.default_rng(0)
    assert all(split_scale(rng.normal(size=(4, 3, 3, 3)).astype(np.float32)) is None for _ in range(200))
