"""A packed model of one 3x3 convolution, for benchmarks of single layers, and the shapes that they take."""

from __future__ import annotations

import numpy as np

# height = width, channels in, channels out
SHAPES = ((14, 256, 256), (28, 128, 128), (56, 64, 64), (8, 64, 64), (7, 512, 512), (16, 32, 32), (32, 16, 16))
ODD_SHAPES = ((14, 100, 100), (14, 96, 96), (28, 48, 48), (28, 24, 24))
PLANES = ((14, 256, 256), (28, 128, 128), (8, 64, 64), (16, 32, 32))
FIRST = ((32, 3, 16), (32, 3, 64), (112, 3, 64))
LAYERS = (
    *(("bits x bits", *shape) for shape in SHAPES + ODD_SHAPES),
    *((kind, *shape) for kind in ("bits x trits", "trits x bits", "trits x trits") for shape in PLANES),
    *((kind, *shape) for kind in ("u8 x bits", "u8 x trits") for shape in FIRST),
)


def layer(kind: str, side: int, channels: int, out: int) -> bytes:
    """One 3x3 convolution with padding 1, random weights and thresholds, packed output; ``kind``: of the map x of the weights."""
    from qnn_deploy.emit.qdm import encode
    from qnn_deploy.ir.program import Buffer, Conv, DType, Epilogue, Op, Opcode, Program, Slot, align
    from qnn_deploy.plan.pack import pack_weights
    from qnn_deploy.plan.planes import weights_form

    rng = np.random.default_rng(side * out)
    dtype, form = (part.upper() for part in kind.split(" x "))
    few = {"BITS": [-1, 1], "TRITS": [-1, 0, 1], "INT8": range(-127, 128)}[form]
    values = rng.choice(np.array(few, np.int8), (out, 9, channels))
    store = weights_form(values, DType[dtype])
    weights, patch = pack_weights(values, store, DType[dtype], 1)
    source = Buffer(DType[dtype], side, side, channels, 0, 0)
    result = Buffer(DType.BITS, side, side, out, 0, 1, offset=align(source.bytes))
    at, scratch = result.offset + align(result.bytes), 4 * align(patch) + 16 * align(out, 32)
    constants = [weights, rng.integers(-20, 20, out, dtype=np.int32)]
    slots = [(Slot.WEIGHTS, 0), (Slot.THRESHOLDS, 1)]
    if dtype == "U8":
        constants.append(np.full(channels, 128, np.int16))
        slots.append((Slot.ZERO, 2))
    geometry = Conv((3, 3), padding=(1, 1, 1, 1))
    op = Op(Opcode.CONV, "conv", (0,), 1, geometry, Epilogue.THRESHOLD, store, constants=tuple(slots), scratch=at, scratch_bytes=scratch)
    return encode(Program("layer", (source, result), (op,), tuple(constants), 0, 1, at + align(scratch), 0))
