"""Float activations in front of reductions become integers by calibrated scales; what does not fit is refused by layer and bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.errors import CompileErrors, UserError
from qnn_deploy.passes.departures import departures_of
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.passes.quantise_activations import Calibration, Observed, QuantiseActivations, calibrate_with, choose_scale
from tests.passes._text import l1

LARGEST = 6.0


def observe(model: ir.Model, names: Sequence[str]) -> Mapping[str, Observed]:
    return {name: Observed(LARGEST, np.linspace(-1, LARGEST, 50, dtype=np.float32)) for name in names}


def network(weights: np.ndarray, head: str = "y = Gemm<transB = 1>(r, w)") -> ir.Model:
    """pixels -> float stream r -> ``head`` with ``weights``."""
    features = weights.shape[1]
    text = f"""net (uint8[N, {features}] x) => (float[N, {len(weights)}] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        s = qnn_deploy.Scale(z, half)
        r = Relu(s)
        {head}
    }}"""
    constants = {"zero": np.zeros(features, np.int16), "half": np.float32([0.5]), "w": weights.astype(np.float32)}
    return l1(text, {**constants, "alpha": np.float32([0.25])})


def quantised(model: ir.Model, calibration: Calibration) -> QuantiseActivations:
    calibrate_with(model, calibration)
    step = QuantiseActivations()
    step(model)
    return step


def limit_of(model: ir.Model) -> int:
    (node,) = [node for node in model.graph if node.op_type == "Quantize"]
    assert node.attributes["low"].as_int() == -node.attributes["high"].as_int()
    return node.attributes["high"].as_int()


def test_a_ternary_layer_gets_int16() -> None:
    model = network(np.tile([-1, 0, 1], (2, 3)))
    step = quantised(model, Calibration("int16", observe))
    assert [node.op_type for node in model.graph][-3:] == ["Quantize", "Gemm", "Scale"]
    assert limit_of(model) == 32767
    assert step.scales == {"r": pytest.approx(2 * LARGEST / 32767)}
    (departure,) = departures_of(model.graph)
    assert departure.layer == "y" and "int16" in departure.what and "convert" in departure.remedy
    for make, _ in EXACT:
        make()(model)
    assert model.graph.outputs[0].name == "y"


def test_scales_of_an_earlier_build() -> None:
    step = quantised(network(np.ones((2, 4))), Calibration("int8", scales={"r": 0.125}))
    assert step.scales == {"r": 0.125}
    with pytest.raises(UserError, match="no scale for r"):
        quantised(network(np.ones((2, 4))), Calibration("int8", scales={"other": 0.125}))


def test_a_scale_behind_takes_the_calibrated_one_in() -> None:
    model = network(np.ones((2, 4)), "g = Gemm<transB = 1>(r, w) y = qnn_deploy.Scale(g, alpha)")
    step = quantised(model, Calibration("int16", observe))
    scale = model.graph[-1]
    assert [node.op_type for node in model.graph].count("Scale") == 2
    assert scale.inputs[1].const_value.numpy() == np.float32(0.25) * np.float32(step.scales["r"])  # type: ignore[union-attr]


def test_layers_on_one_stream_share_its_integers() -> None:
    head = "a = Gemm<transB = 1>(r, w) b = Gemm<transB = 1>(r, w) y = Add(a, b)"
    model = network(np.ones((2, 4)), head)
    quantised(model, Calibration("int16", observe))
    assert [node.op_type for node in model.graph].count("Quantize") == 1
    assert len(departures_of(model.graph)) == 2


@pytest.mark.parametrize(
    ("weights", "limit"),
    [
        (np.full((1, 64), 127), 2**24 // (64 * 127)),
        (np.ones((3, 1024)), 2**24 // 1024),
        # int8 weights on int16 leave int32 past 511 terms, whatever the values.
        (np.pad([[127]], ((0, 0), (0, 511))), 127),
        (np.pad([[127]], ((0, 0), (0, 510))), 32767),
    ],
)
def test_the_range_is_narrowed_to_what_sums_hold(weights: np.ndarray, limit: int) -> None:
    model = network(weights)
    quantised(model, Calibration("int16", observe))
    assert limit_of(model) == limit


def test_what_cannot_be_narrowed_is_refused_with_layer_and_bound() -> None:
    with pytest.raises(CompileErrors) as caught:
        quantised(network(np.full((1, 2000), 100)), Calibration("int16", observe))
    (finding,) = caught.value.findings
    assert finding.code == "QD0303" and "200000 times" in finding.message and "leaves 83" in finding.message and finding.where == "y"


def test_not_finite_is_refused() -> None:
    def broken(model: ir.Model, names: Sequence[str]) -> Mapping[str, Observed]:
        return {name: Observed(np.inf, np.zeros(1, np.float32)) for name in names}

    with pytest.raises(CompileErrors) as caught:
        quantised(network(np.ones((2, 4))), Calibration("int16", broken))
    assert caught.value.code == "QD0310"


def test_without_a_calibration_nothing_changes_and_the_refusal_names_it() -> None:
    model = network(np.ones((2, 4)))
    assert not QuantiseActivations()(model).modified
    with pytest.raises(CompileErrors, match="--calibrate DATA"):
        for make, _ in EXACT:
            make()(model)


def test_scales() -> None:
    some = np.float32([0.1] * 999 + [100])
    assert choose_scale(Observed(0.0, some), 127, "int8") == 1.0
    assert choose_scale(Observed(100.0, some), 32767, "int16") == pytest.approx(200 / 32767)
    assert choose_scale(Observed(1.0, np.linspace(-1, 1, 1000, dtype=np.float32)), 127, "int8") == pytest.approx(1 / 127, rel=0.1)
