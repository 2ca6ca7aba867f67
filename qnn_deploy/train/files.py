"""Files that appear whole or not at all, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path

from qnn_deploy.errors import UserError


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` through a temporary name, flushed to the disk before it is renamed; what was there stays until then.

    Raises:
        UserError: QD0105 where it cannot be written (no space left, no such folder); the file that was there is intact.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)
    except OSError as error:
        kept = f"{path.name} is as it was before" if path.exists() else ""
        raise UserError("QD0105", f"cannot write: {error.strerror}", where=str(path), help=kept) from error
    finally:
        temporary.unlink(missing_ok=True)
