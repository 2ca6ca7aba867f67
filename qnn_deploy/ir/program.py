"""L3: the planned program. No graph any more: operators in order, buffers with arena offsets, constants as packed arrays.

The names and numbers are those of the packed model (docs/qdm.md); `emit.qdm` writes them down byte by byte.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64


def align(size: int, to: int = ALIGNMENT) -> int:
    """``size`` rounded up to a multiple of ``to``."""
    return -(-size // to) * to


class DType(enum.IntEnum):
    """Element type of a buffer or constant; the value is the one in the file."""

    U8 = 1
    I8 = 2
    I16 = 3
    I32 = 4
    F32 = 5
    BITS = 6
    TRITS = 7


ELEMENT_BYTES = {DType.U8: 1, DType.I8: 1, DType.I16: 2, DType.I32: 4, DType.F32: 4}
NUMPY_DTYPE = {DType.U8: "<u1", DType.I8: "<i1", DType.I16: "<i2", DType.I32: "<i4", DType.F32: "<f4"}


class Opcode(enum.IntEnum):
    """Operators of the runtime."""

    CONV = 1
    SIGN = 2
    BIT_POOL = 3
    MAX_POOL = 4
    QUANTIZE = 5
    SUM_POOL = 6
    CONCAT = 7
    STREAM = 8
    REARRANGE = 9
    INTERLEAVE = 10
    ARG_MAX = 11
    FLOAT_CONV = 16
    FLOAT_POOL = 17


class Epilogue(enum.IntEnum):
    """What CONV does with its accumulators."""

    ACCUMULATORS = 0
    THRESHOLD = 1
    STREAM = 2
    LEVELS = 3


class Weights(enum.IntEnum):
    """Storage of CONV's weights."""

    NONE = 0
    BITS = 1
    INT8 = 2
    TRITS = 3
    INT4 = 4
    MASKS = 5


WEIGHT_BITS = {Weights.BITS: 1, Weights.MASKS: 1, Weights.TRITS: 2, Weights.INT4: 4, Weights.INT8: 8}


class Step(enum.IntFlag):
    """Elementwise steps of a stream; a ReLU has two places, of which the one in front of a BatchNorm is a bit of its own.

    They are applied in the order of `IN_ORDER`.
    """

    SCALE = 1
    BATCH_NORM = 2
    BIAS = 4
    ADD = 8
    RELU = 16
    CLIP = 32
    PRELU = 64
    FIRST_RELU = 128


IN_ORDER = (Step.SCALE, Step.FIRST_RELU, Step.BATCH_NORM, Step.BIAS, Step.ADD, Step.RELU, Step.CLIP, Step.PRELU)


def smallest_weights(values: NDArray[np.int8]) -> Weights:
    """The smallest form that holds ``values``."""
    low, high = int(values.min()), int(values.max())
    if low == 0 and high <= 1:
        return Weights.MASKS
    if low >= -1 and high <= 1:
        return Weights.TRITS if bool(np.any(values == 0)) else Weights.BITS
    return Weights.INT4 if low >= -8 and high <= 7 else Weights.INT8


NO_STEPS = Step(0)


class Slot(enum.IntEnum):
    """Which of an operator's eight constants is which; the last one has a meaning per operator."""

    WEIGHTS = 0
    ZERO = 1
    THRESHOLDS = 2
    SCALE = 3
    BN_A = 4
    BN_B = 5
    BIAS = 6
    MASK = 7
    SLOPE = 7  # of a stream, which has no mask
    INDEX = 7  # of a rearrangement


def bits_stride(channels: int) -> int:
    """Bytes of one pixel of a bit-plane: 1, 2 or 4 for up to 8, 16 or 32 channels, else whole 64-bit words."""
    for size in (1, 2, 4):
        if channels <= 8 * size:
            return size
    return 8 * (-(-channels // 64))


@dataclasses.dataclass(frozen=True)
class Buffer:
    """A tensor in the arena: NHWC with batch 1. ``first`` and ``last`` are the indices of the operators between which it is alive."""

    dtype: DType
    height: int
    width: int
    channels: int
    first: int
    last: int
    offset: int = 0

    @property
    def stride(self) -> int:
        """Bytes of one pixel."""
        if self.dtype in (DType.BITS, DType.TRITS):
            return bits_stride(self.channels) * (2 if self.dtype == DType.TRITS else 1)
        return self.channels * ELEMENT_BYTES[self.dtype]

    @property
    def bytes(self) -> int:
        return self.height * self.width * self.stride


@dataclasses.dataclass(frozen=True)
class Conv:
    """Window of CONV and the pools: kernel, stride, dilation [height, width], padding [top, left, bottom, right]."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def reach(self) -> tuple[int, int]:
        """From the first tap to the last, both counted."""
        height, width = ((kernel - 1) * dilation + 1 for kernel, dilation in zip(self.kernel, self.dilation, strict=True))
        return height, width


@dataclasses.dataclass(frozen=True)
class Op:
    """One operator; the fields are those of docs/qdm.md.

    Attributes:
        name: the layer's name, for people.
        groups: of CONV's channels.
        constants: constant index by slot.
        ints: QUANTIZE: low, high. CONV: the value around the map, the lowest level.
        weight_bits: of the smallest form that holds the weights, for reports (1 for binary however it is stored).
    """

    opcode: Opcode
    name: str
    inputs: tuple[int, ...]
    output: int
    window: Conv | None = None
    epilogue: Epilogue = Epilogue.ACCUMULATORS
    weights: Weights = Weights.NONE
    steps: Step = NO_STEPS
    constants: tuple[tuple[Slot, int], ...] = ()
    floats: tuple[float, float] = (0.0, 0.0)
    ints: tuple[int, int] = (0, 0)
    scratch: int = 0
    scratch_bytes: int = 0
    macs: int = 0
    weight_bits: int = 0
    parameters: int = 0
    groups: int = 1

    @property
    def uses_float(self) -> bool:
        """True where the runtime computes in binary32."""
        if self.opcode == Opcode.CONV:
            return self.epilogue == Epilogue.STREAM
        return self.is_island or self.opcode in (Opcode.SIGN, Opcode.MAX_POOL, Opcode.QUANTIZE, Opcode.STREAM)

    @property
    def is_island(self) -> bool:
        """True where the runtime sums binary32 numbers, in an order that is part of the format."""
        return self.opcode >= Opcode.FLOAT_CONV


@dataclasses.dataclass(frozen=True)
class Program:
    """A planned network, ready to be written down.

    Attributes:
        name: the model's name.
        arena: bytes of the arena.
        lower_bound: the largest sum of tensors (and scratch) alive at one operator; no plan can be smaller.
    """

    name: str
    buffers: tuple[Buffer, ...]
    ops: tuple[Op, ...]
    constants: tuple[NDArray[Any], ...]
    input: int
    output: int
    arena: int
    lower_bound: int

    @property
    def macs(self) -> int:
        return sum(op.macs for op in self.ops)

    @property
    def constant_bytes(self) -> int:
        return sum(constant.nbytes for constant in self.constants)


def constant_dtype(array: NDArray[Any]) -> DType:
    """The file's dtype code of a constant."""
    return {np.dtype(text): code for code, text in NUMPY_DTYPE.items()}[
        array.dtype.newbyteorder("<") if array.dtype.itemsize > 1 else array.dtype
    ]
