"""Files and folders that appear whole or not at all, also after a power cut: what is new is flushed to the disk before it gets its name.

Whatever the package keeps is renamed here: `tests/test_layering.py` finds a rename elsewhere, `tests/test_files.py` one without its flush.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qnn_deploy.errors import UserError


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` through a temporary name; what was there stays until the new file is on the disk.

    A link is followed; what is no file (a device, a pipe) is written to as it is.

    Raises:
        UserError: QD0105 where it cannot be written (no space left, no such folder); the file that was there is intact.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)
            return
        temporary.write_bytes(content)
        move(temporary, path)
    except OSError as error:
        kept = f"; {path.name} is as it was before" if path.exists() else ""
        raise UserError("QD0105", f"cannot write: {error.strerror}", where=str(path), help=remedy(error) + kept) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def move(source: Path, target: Path) -> None:
    """Give ``source``, a file or a folder on the same disk, the name ``target``, with its content and its name flushed to the disk.

    Raises:
        OSError: where one of the steps fails; ``target`` is then what it was, or all of ``source``.
    """
    _flush_all(source)
    os.replace(source, target)
    _flush(target.parent)  # the rename itself


def make_folder(path: Path) -> None:
    """Make ``path`` and the folders above it, where they are missing, on the disk too.

    Raises:
        OSError: where one cannot be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _flush(folder.parent)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a while, in ``TMPDIR``.

    Raises:
        UserError: QD0105 where the block cannot write into it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="qnn-deploy-") as folder:
            yield Path(folder)
    except OSError as error:
        help = "make room there, or set TMPDIR to another folder"
        raise UserError("QD0105", f"cannot write temporary files: {error.strerror or error}", help=help) from error


def remedy(error: OSError) -> str:
    """What to do where a write fails with ``error``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room, or write to another disk"
    if error.errno == errno.EFBIG:
        return "raise the limit on the size of files (ulimit -f)"
    return "name a place that can be written"


def _flush_all(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _flush_all(child)
    _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
