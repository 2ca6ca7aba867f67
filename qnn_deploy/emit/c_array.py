"""The packed model as C: an array that a firmware keeps in its flash and hands to ``qd_open`` as it is."""

from __future__ import annotations

_HEAD = """/*
 * A packed network (qd.h) for a firmware to be linked with. Where it is opened:
 *     extern const unsigned char qd_model_file[];
 *     extern const unsigned long qd_model_file_size;
 */
extern const unsigned char qd_model_file[];
extern const unsigned long qd_model_file_size;
const unsigned long qd_model_file_size = %d;
_Alignas(64) const unsigned char qd_model_file[%d] = {
"""
_ROW = 32


def encode(packed: bytes) -> bytes:
    """C source, C11, of the bytes of a ``.qdm`` file."""
    rows = (packed[at : at + _ROW] for at in range(0, len(packed), _ROW))
    text = "".join(",".join(map(str, row)) + ",\n" for row in rows)
    return (_HEAD % (len(packed), len(packed)) + text + "};\n").encode()
