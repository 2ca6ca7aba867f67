"""Images and arrays from files of anyone: PNG, JPEG, PNM, BMP and ``.npy``."""

from __future__ import annotations

import io
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.errors import UserError, as_damage

# Pillow knows many more; some of them start programs (EPS: ghostscript).
FORMATS = ("PNG", "JPEG", "PPM", "BMP")


def decode_image(content: bytes, *, code: str, what: str, where: str, grey: bool = False) -> NDArray[np.uint8]:
    """Pixels uint8 [C, H, W] of an image file: three channels, or one where ``grey`` is allowed and the image is.

    Raises:
        UserError: ``code`` with ``what`` is wrong, where it cannot be decoded or is larger than Pillow's limit; QD0111 without Pillow.
    """
    try:
        from PIL import Image
    except ImportError as error:
        help = 'pip install "qnn-deploy[torch]", or give a .npy array'
        raise UserError("QD0111", "reading image files needs Pillow", help=help) from error
    with as_damage(code, what, where=where):
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        pixels = np.asarray(image if grey and image.mode == "L" else image.convert("RGB"))
        return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def read_npy(stream: IO[bytes]) -> NDArray[Any]:
    """The array of a ``.npy`` file; never objects.

    Raises:
        Exception: anything at all for bytes that are none.
    """
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
