"""Binary weights packed to bits: bit 1 = -1, least significant bit first, spare bits 0."""

from __future__ import annotations

import numpy as np

from qnn_deploy.ops._base import Array, ShapeError


def pack_signs(weights: Array) -> Array:
    """Pack +1/-1 weights [O, ...] of any dtype, flattened per output, to uint8 [O, ceil(K / 8)].

    Raises:
        ShapeError: a weight is neither +1 nor -1.
    """
    if not np.array_equal(np.abs(weights), np.ones_like(weights)):
        raise ShapeError("only weights of +1 and -1 can be packed to bits")
    return np.packbits(weights.reshape(weights.shape[0], -1) < 0, axis=1, bitorder="little")


def unpack_signs(packed: Array, count: int) -> Array:
    """Inverse of `pack_signs`: uint8 [O, ceil(count / 8)] to int8 [O, count]."""
    bits = np.unpackbits(packed, axis=1, count=count, bitorder="little").astype(np.int8)
    return np.asarray(1 - 2 * bits, dtype=np.int8)


# ONNX text: packed (uint8 [O, B]) and count (int64 [1]) to flat (float [O, count]).
UNPACK_BODY = """
            last = Constant <value_ints: ints = [2]> ()
            bytes = Unsqueeze (packed, last)
            positions = Constant <value: tensor = uint8[8] {0, 1, 2, 3, 4, 5, 6, 7}> ()
            shifted = BitShift <direction: string = "RIGHT"> (bytes, positions)
            mask = Constant <value: tensor = uint8[1] {1}> ()
            bits = BitwiseAnd (shifted, mask)
            rows = Constant <value_ints: ints = [0, -1]> ()
            all_bits_u8 = Reshape (bits, rows)
            all_bits = Cast <to: int = 1> (all_bits_u8)
            start = Constant <value_ints: ints = [0]> ()
            axis = Constant <value_ints: ints = [1]> ()
            used = Slice (all_bits, start, count, axis)
            one = Constant <value: tensor = float {1.0}> ()
            two = Constant <value: tensor = float {2.0}> ()
            doubled = Mul (used, two)
            flat = Sub (one, doubled)"""
