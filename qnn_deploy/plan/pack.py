"""Weight packing: from [O, taps, C] integers to the byte orders of docs/qdm.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.ir.program import bits_stride


def pack_lane_major(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Binary weights [O, taps, C] of +1/-1 to flat lane-major bytes: [blocks][taps * stride][lanes], bit 1 = -1, spare bits and lanes 0."""
    out, taps, channels = weights.shape
    stride = bits_stride(channels)
    lanes = 16 if out <= 16 else 32
    blocks = -(-out // lanes)
    bits = np.zeros((blocks * lanes, taps, stride * 8), np.uint8)
    bits[:out, :, :channels] = weights < 0
    rows = np.packbits(bits, axis=2, bitorder="little").reshape(blocks, lanes, taps * stride)
    return np.ascontiguousarray(rows.transpose(0, 2, 1)).reshape(-1)


def pack_pair_major(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Integer weights [O, taps, C] to flat pair-major int8: [blocks][pairs][8 channels][2], padding elements 0."""
    out, taps, channels = weights.shape
    blocks, pairs = -(-out // 8), -(-taps * channels // 2)
    rows = np.zeros((blocks * 8, pairs * 2), np.int8)
    rows[:out, : taps * channels] = weights.reshape(out, -1)
    return np.ascontiguousarray(rows.reshape(blocks, 8, pairs, 2).transpose(0, 2, 1, 3)).reshape(-1)


def pack_channel_mask(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """[C] flags to the bytes of one bit-map pixel."""
    bits = np.zeros(bits_stride(len(mask)) * 8, np.uint8)
    bits[: len(mask)] = mask
    return np.packbits(bits, bitorder="little")
