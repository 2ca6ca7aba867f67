"""The grammar of --input."""

from __future__ import annotations

import pytest

from qnn_deploy.errors import UserError
from qnn_deploy.frontend import InputSpec, parse_input_spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x32x32:uint8", InputSpec((3, 32, 32), "uint8", (0, 0, 0))),
        ("Nx3x32x16:uint8:zero=125", InputSpec((3, 32, 16), "uint8", (125, 125, 125))),
        ("1x3x8x8:uint8:zero=125,123,114:scale=0.5", InputSpec((3, 8, 8), "uint8", (125, 123, 114), (0.5, 0.5, 0.5))),
        ("1x2x8x8:int8:scale=0.5,1e-3:zero=-3", InputSpec((2, 8, 8), "int8", (-3, -3), (0.5, 0.001))),
        ("1x4:int16", InputSpec((4,), "int16", (0, 0, 0, 0))),
        ("1x1x8x8:uint8:zero=16.0", InputSpec((1, 8, 8), "uint8", (16,))),
    ],
)
def test_good(text: str, spec: InputSpec) -> None:
    assert parse_input_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "QD0106", "dtype is missing"),
        ("1x3x32x32", "QD0106", "dtype is missing"),
        ("2x3x32x32:uint8", "QD0106", "the batch being 1"),
        ("1x3x32x32x2:uint8", "QD0106", "1xCxHxW"),
        ("1x3x0x32:uint8", "QD0106", "1xCxHxW"),
        ("1x3x-1x32:uint8", "QD0106", "1xCxHxW"),
        ("1x3x32x32:float32", "QD0106", "not 'float32'"),
        ("1x3x32x32:uint8:mean=3", "QD0106", "zero=... or scale=..."),
        ("1x3x32x32:uint8:zero", "QD0106", "zero=... or scale=..."),
        ("1x3x32x32:uint8:zero=1:zero=2", "QD0106", "each once"),
        ("1x3x32x32:uint8:zero=a", "QD0106", "numbers"),
        ("1x3x32x32:uint8:zero=1,2", "QD0106", "1 or 3 numbers, not 2"),
        ("1x3x32x32:uint8:zero=127.5", "QD0308", "127.5"),
        ("1x3x32x32:uint8:zero=256", "QD0308", "[0, 255]"),
        ("1x3x32x32:uint8:zero=-1", "QD0308", "[0, 255]"),
        ("1x3x32x32:uint8:zero=nan", "QD0308", "nan"),
        ("1x3x32x32:int8:zero=128", "QD0308", "[-128, 127]"),
        ("1x3:int16:zero=1", "QD0308", "leave int16"),
        ("1x3x32x32:uint8:scale=0", "QD0308", "positive"),
        ("1x3x32x32:uint8:scale=-1", "QD0308", "positive"),
        ("1x3x32x32:uint8:scale=inf", "QD0308", "positive"),
    ],
)
def test_bad(text: str, code: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_input_spec(text)
    assert caught.value.code == code
    assert message in caught.value.message
    assert caught.value.help or "scale" in message or "positive" in message
