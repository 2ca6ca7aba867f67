from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.ir.program import Weights, bits_stride
from qnn_deploy.ops._bits import pack_signs, unpack_signs
from qnn_deploy.plan.pack import pack_channel_mask, pack_depthwise, pack_lane_major, pack_pair_major, pack_small


@pytest.mark.parametrize("channels", [1, 3, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 96, 100, 128])
@pytest.mark.parametrize("out", [1, 15, 16, 17, 32, 33, 70])
def test_lane_major_holds_every_weight_where_the_format_says(channels: int, out: int) -> None:
    weights = np.random.default_rng(channels * 100 + out).choice([-1, 1], (out, 4, channels)).astype(np.int8)
    stride, lanes = bits_stride(channels), 16 if out <= 16 else 32
    packed = pack_lane_major(weights)
    row = 4 * stride
    assert packed.size == -(-out // lanes) * row * lanes
    ones = 0
    for o in range(out):
        for t in range(4):
            for c in range(channels):
                byte = packed[(o // lanes * row + t * stride + c // 8) * lanes + o % lanes]
                bit = byte >> (c % 8) & 1
                assert bit == (weights[o, t, c] < 0)
                ones += int(bit)
    assert ones == int(np.unpackbits(packed).sum()), "spare bits and lanes must be 0"


@pytest.mark.parametrize("out,taps,channels", [(1, 9, 3), (8, 9, 3), (10, 1, 64), (17, 4, 5)])
def test_pair_major_holds_every_weight_where_the_format_says(out: int, taps: int, channels: int) -> None:
    weights = np.random.default_rng(out).integers(-127, 128, (out, taps, channels)).astype(np.int8)
    packed = pack_pair_major(weights)
    pairs = -(-taps * channels // 2)
    assert packed.size == -(-out // 8) * pairs * 16
    for o in range(out):
        for k in range(taps * channels):
            assert packed[((o // 8 * pairs + k // 2) * 8 + o % 8) * 2 + k % 2] == weights[o].reshape(-1)[k]
    assert np.abs(packed.astype(int)).sum() == np.abs(weights.astype(int)).sum()


def test_depthwise_weights_lie_tap_by_tap() -> None:
    weights = np.arange(12, dtype=np.int8).reshape(4, 3, 1)
    assert pack_depthwise(weights).tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]


@pytest.mark.parametrize("form,low,high", [(Weights.BITS, -1, 1), (Weights.MASKS, 0, 1), (Weights.TRITS, -1, 1), (Weights.INT4, -8, 7)])
@pytest.mark.parametrize("out", [3, 8, 17])
def test_small_depthwise_weights_lie_where_the_format_says(form: Weights, low: int, high: int, out: int) -> None:
    weights = np.random.default_rng(out).integers(low, high + 1, (out, 6, 1)).astype(np.int8)
    if form == Weights.BITS:
        weights = np.where(weights < 0, -1, 1).astype(np.int8)
    bits = {Weights.TRITS: 2, Weights.INT4: 4}.get(form, 1)
    packed = pack_depthwise(weights, form).reshape(6, -(-out // 8), bits).astype(int)
    for o, tap, _ in np.ndindex(weights.shape):
        eight, i = packed[tap, o // 8], o % 8
        bit, nibble = eight[0] >> i & 1, eight[i // 2] >> 4 * (i % 2) & 15 if form == Weights.INT4 else 0
        value = {Weights.BITS: 1 - 2 * bit, Weights.MASKS: bit, Weights.INT4: (nibble ^ 8) - 8}.get(form)
        assert weights[o, tap, 0] == ((1 - 2 * bit) * (eight[1] >> i & 1) if form == Weights.TRITS else value)
    zeros = pack_depthwise(np.zeros((out, 6, 1), np.int8), form)
    assert not zeros.any(), "what is past the last channel must be 0"


def test_row_major_round_trip() -> None:
    weights = np.random.default_rng(0).choice([-1, 1], (7, 27)).astype(np.int8)
    assert np.array_equal(unpack_signs(pack_signs(weights), 27), weights)


def test_channel_mask_fills_one_pixel() -> None:
    mask = np.zeros(40, bool)
    mask[[0, 9, 39]] = True
    assert pack_channel_mask(mask).tolist() == [1, 2, 0, 0, 128, 0, 0, 0]


@pytest.mark.parametrize("channels", [1, 8, 9, 33, 64, 129])
@pytest.mark.parametrize("out", [1, 16, 17, 33])
def test_ternary_lanes_hold_every_weight_where_the_format_says(channels: int, out: int) -> None:
    weights = np.random.default_rng(channels * 100 + out).integers(-1, 2, (out, 4, channels)).astype(np.int8)
    stride, lanes = bits_stride(channels), 16 if out <= 16 else 32
    packed = pack_lane_major(weights, 2)
    row = 4 * stride
    assert packed.size == -(-out // lanes) * row * lanes * 2
    for o, t, c in np.ndindex(weights.shape):
        at = (o // lanes * row + t * stride + c // 8) * 2 * lanes + o % lanes
        sign, mask = packed[at] >> c % 8 & 1, packed[at + lanes] >> c % 8 & 1
        assert (1 - 2 * int(sign)) * int(mask) == weights[o, t, c] and sign <= mask
    assert int(np.unpackbits(packed).sum()) == int((weights != 0).sum() + (weights < 0).sum()), "spare bits and lanes must be 0"


@pytest.mark.parametrize("form,low,high", [(Weights.BITS, -1, 1), (Weights.MASKS, 0, 1), (Weights.TRITS, -1, 1), (Weights.INT4, -8, 7)])
@pytest.mark.parametrize("out,taps,channels", [(1, 9, 3), (8, 2, 3), (10, 1, 64), (17, 4, 5)])
def test_small_weights_lie_where_the_format_says(form: Weights, low: int, high: int, out: int, taps: int, channels: int) -> None:
    weights = np.random.default_rng(out).integers(low, high + 1, (out, taps, channels)).astype(np.int8)
    if form == Weights.BITS:
        weights = np.where(weights < 0, -1, 1).astype(np.int8)
    size = {Weights.BITS: 2, Weights.MASKS: 2, Weights.TRITS: 4, Weights.INT4: 8}[form]
    packed, pairs = pack_small(weights, form), -(-taps * channels // 2)
    assert packed.size == -(-out // 8) * pairs * size
    for o in range(out):
        for k in range(taps * channels):
            pair = packed[(o // 8 * pairs + k // 2) * size :][:size].astype(int)
            n = o % 8 * 2 + k % 2
            bit, nibble = pair[n // 8] >> n % 8 & 1, pair[n // 2] >> 4 * (n % 2) & 15 if form == Weights.INT4 else 0
            value = {Weights.BITS: 1 - 2 * bit, Weights.MASKS: bit, Weights.INT4: (nibble ^ 8) - 8}.get(form)
            if form == Weights.TRITS:
                value = (1 - 2 * bit) * (pair[2 + n // 8] >> n % 8 & 1)
            assert value == weights[o].reshape(-1)[k]
    used = np.unpackbits(pack_small(np.where(weights == 0, 0, 1).astype(np.int8), Weights.MASKS)).sum()
    assert used == (weights != 0).sum(), "padding elements must be 0"
