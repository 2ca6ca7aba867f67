"""Weight packing: from [O, taps, C] integers to the byte orders of docs/qdm.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.ir.program import WEIGHT_BITS, DType, Weights, align, bits_stride


def pack_lane_major(weights: NDArray[np.int8], planes: int = 1) -> NDArray[np.uint8]:
    """Binary or ternary weights [O, taps, C] to flat lane-major bytes: [blocks][taps * stride][planes][lanes], spare bits and lanes 0.

    Plane 0: bit 1 = -1. Plane 1, of ternary weights: bit 1 = not 0.
    """
    out, taps, channels = weights.shape
    stride = bits_stride(channels)
    lanes = 16 if out <= 16 else 32
    blocks = -(-out // lanes)
    bits = np.zeros((planes, blocks * lanes, taps, stride * 8), np.uint8)
    bits[:, :out, :, :channels] = _planes(weights, planes)
    rows = np.packbits(bits, axis=3, bitorder="little").reshape(planes, blocks, lanes, taps * stride)
    return np.ascontiguousarray(rows.transpose(1, 3, 0, 2)).reshape(-1)


def _planes(weights: NDArray[np.int8], planes: int) -> NDArray[np.bool_]:
    return np.stack([weights < 0, weights != 0][:planes])


def pack_depthwise(weights: NDArray[np.int8], form: Weights = Weights.INT8) -> NDArray[Any]:
    """Integer weights [O, taps, 1] of a depthwise convolution to flat tap-major ones: int8 [taps][O], or of fewer bits bytes
    [taps][ceil(O / 8)][bits], each of eight channels in the order of `pack_small`.
    """
    rows = np.ascontiguousarray(weights[:, :, 0].T)
    if form == Weights.INT8:
        return rows.reshape(-1)
    return _rows(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).reshape(-1, 8), form)


def pack_pair_major(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Integer weights [O, taps, C] to flat pair-major int8: [blocks][pairs][8 channels][2], padding elements 0."""
    out, taps, channels = weights.shape
    blocks, pairs = -(-out // 8), -(-taps * channels // 2)
    rows = np.zeros((blocks * 8, pairs * 2), np.int8)
    rows[:out, : taps * channels] = weights.reshape(out, -1)
    return np.ascontiguousarray(rows.reshape(blocks, 8, pairs, 2).transpose(0, 2, 1, 3)).reshape(-1)


def pack_small(weights: NDArray[np.int8], form: Weights) -> NDArray[np.uint8]:
    """Weights [O, taps, C] of fewer than 8 bits to flat pair-major bytes: [blocks][pairs][2 * bits], the order of `pack_pair_major` within.

    Bits and trits: planes of 16 bits, as `pack_lane_major` has them; masks: bit 1 = 1.
    INT4: nibbles in two's complement, the first one lower.
    """
    return _rows(pack_pair_major(weights).reshape(-1, 16), form)


def _rows(rows: NDArray[np.int8], form: Weights) -> NDArray[np.uint8]:
    """Rows of 8 or 16 weights as bytes one after the other."""
    if form == Weights.INT4:
        nibbles = rows.view(np.uint8) & 15
        return np.asarray(nibbles[:, ::2] | nibbles[:, 1::2] << 4, np.uint8).reshape(-1)
    parts = _planes(rows, 2)[1:] if form == Weights.MASKS else _planes(rows, WEIGHT_BITS[form])
    planes = np.packbits(parts, axis=2, bitorder="little")
    return np.ascontiguousarray(planes.transpose(1, 0, 2)).reshape(-1)


def pack_weights(weights: NDArray[np.int8], kind: Weights, source: DType, groups: int) -> tuple[NDArray[Any], int]:
    """Weights [O, taps, C / groups] in the form ``kind`` for a map of ``source``, and the bytes of one patch of that map."""
    out, taps, channels = weights.shape
    bits, planes = WEIGHT_BITS[kind], {DType.BITS: 1, DType.TRITS: 2}.get(source, 0)
    if groups > 1 and channels == 1:
        return pack_depthwise(weights, kind), 2 * out
    parts = np.split(weights, groups)
    if planes and bits <= 2:
        return np.concatenate([pack_lane_major(part, bits) for part in parts]), taps * bits_stride(channels) * planes
    patch = 2 * align(taps * channels, 2)
    return np.concatenate([pack_pair_major(part) if bits == 8 else pack_small(part, kind) for part in parts]), patch


def pack_channel_mask(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """[C] flags to the bytes of one bit-map pixel."""
    bits = np.zeros(bits_stride(len(mask)) * 8, np.uint8)
    bits[: len(mask)] = mask
    return np.packbits(bits, bitorder="little")
