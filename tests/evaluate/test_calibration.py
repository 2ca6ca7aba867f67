"""Calibration data: what does not fit is refused; what does is spread over the whole set and seen in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qnn_deploy import api
from qnn_deploy.errors import UserError
from qnn_deploy.evaluate.calibration import _run, calibration_images, observer
from qnn_deploy.evaluate.reference import run
from qnn_deploy.passes.departures import departures_of
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.passes.quantise_activations import Calibration, calibrate_with
from tests.passes._text import l1

SHAPE = (1, 2, 2)


def saved(folder: Path, images: np.ndarray) -> str:
    np.save(folder / "images.npy", images)
    return f"npy:{folder / 'images.npy'}"


@pytest.mark.parametrize(
    ("images", "code", "text"),
    [
        (np.zeros((4, 3, 2, 2), np.uint8), "QD0104", "[N, 1, 2, 2]"),
        (np.zeros((0, 1, 2, 2), np.uint8), "QD0104", "[0, 1, 2, 2]"),
        (np.zeros((4, 1, 2, 2), np.float32), "QD0203", "float32"),
        (np.full((4, 1, 2, 2), 7, np.uint8), "QD0310", "every value of the calibration data is 7"),
    ],
)
def test_bad_data(images: np.ndarray, code: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        calibration_images(saved(tmp_path, images), 4, SHAPE, "uint8")
    assert caught.value.code == code and text in caught.value.message


@pytest.mark.parametrize(("activations", "count"), [("int4", 8), ("int16", 0)])
def test_bad_arguments(activations: str, count: int, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        api.build("models/digits-cnn-w1a1/model.pt", out=None, calibrate="digits", activations=activations, calibrate_images=count)
    assert caught.value.code == "QD0106"


def test_images_are_spread_over_the_set(tmp_path: Path) -> None:
    images = np.arange(400, dtype=np.uint8).repeat(4).reshape(400, 1, 2, 2)
    chosen = calibration_images(saved(tmp_path, images), 5, SHAPE, "uint8")
    assert chosen[:, 0, 0, 0].tolist() == [0, 99, 199, 43, 143]  # 0, 99, 199, 299, 399 of the set, modulo 256


def test_what_is_observed() -> None:
    text = """net (uint8[N, 2] x) => (float[N, 1] y) {
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        s = qnn_deploy.Scale(z, tenth)
        y = Gemm<transB = 1>(s, w)
    }"""
    model = l1(text, {"zero": np.int16([100, 0]), "tenth": np.float32([0.1]), "w": np.float32([[1, -1]])})
    images = np.uint8([[100, 0], [110, 0], [0, 50]] * 20)
    found = observer(images)(model, ["s", "y"])
    assert found["s"].largest == np.float32(0.1) * 100
    assert found["y"].largest == pytest.approx(15) and found["y"].some.shape == (60,)


MAPS = {
    "transposed": "ConvTranspose<strides = [2, 2], pads = [1, 1, 0, 0], output_padding = [0, 1], group = 1, to = 1>(s, w)",
    "mean of windows": "Conv<kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], group = 2>(s, ones)",
}


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize(("activations", "error"), [("int16", 2e-3), ("int8", 0.5)])
def test_layers_over_maps_of_floats_get_integers(kind: str, activations: str, error: float) -> None:
    """A transposed convolution was refused with the advice to calibrate, which did nothing to it."""
    rng = np.random.default_rng(0)
    domain = "qnn_deploy." if kind == "transposed" else ""
    text = f"""net (uint8[N, 2, 4, 4] x) => (float[N, c, h, w] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        s = qnn_deploy.Bias(z, tenth)
        y = {domain}{MAPS[kind]}
    }}"""
    constants = {"zero": np.int16([100, 0]), "tenth": np.float32([0.1]), "w": rng.integers(-1, 2, (3, 2, 3, 3)).astype(np.float32)}
    constants["ones"] = np.ones((2, 1, 2, 2), np.float32)
    model = l1(text, {name: array for name, array in constants.items() if f", {name})" in text})
    images = rng.integers(0, 256, (20, 2, 4, 4), dtype=np.uint8)
    wanted = _run(model.graph, images, {"y"})["y"]
    calibrate_with(model, Calibration(activations, observer(images)))
    for make, _ in EXACT:
        make()(model)
    assert [node.op_type for node in model.graph].count("Quantize") == 1
    assert [departure.layer for departure in departures_of(model.graph)] == ["y"]
    found = run(model, images)
    assert found.shape == wanted.shape and 0 < np.abs(found - wanted).max() < error * np.abs(wanted).max()
