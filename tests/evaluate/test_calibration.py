"""Calibration data: what does not fit is refused; what does is spread over the whole set and seen in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qnn_deploy import api
from qnn_deploy.errors import UserError
from qnn_deploy.evaluate.calibration import calibration_images, observer
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
