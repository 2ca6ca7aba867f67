"""Unpickle what the official CIFAR-10 batches hold: dictionaries, lists, strings, numbers, arrays of bytes. Nothing of a pickle is called.

numpy's own constructors trust shapes, strides and dtypes that a pickle gives them; stand-ins take an array's state here and check it.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PlainArray:
    """Stands for an array while it is read; ``array`` is uint8, of the shape in its state."""

    __slots__ = ("array",)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Bytes) or fortran or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array of something else than bytes")
        self.array: NDArray[np.uint8] = np.frombuffer(content, np.uint8).reshape(shape)


class _Bytes:
    """Stands for ``dtype("u1")``; its state says nothing more."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


def _array(*_: Any) -> PlainArray:
    return PlainArray()


def _bytes(name: Any, *_: Any) -> _Bytes:
    if name not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"an array of {name!r}")
    return _Bytes()


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy", "dtype"): _bytes,
    ("numpy", "ndarray"): "ndarray",  # an argument of the first, never called
}


class _Reader(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """The unpickler in Python: a file cannot make its memo larger than itself, as it can in the one in C."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _STAND_INS[module, name]


def loads(content: bytes) -> Any:
    """What the pickle ``content`` holds; strings of Python 2 as bytes, arrays as `PlainArray`.

    Raises:
        Exception: anything at all for a pickle that is damaged or holds something else.
    """
    return _Reader(io.BytesIO(content), encoding="bytes").load()
