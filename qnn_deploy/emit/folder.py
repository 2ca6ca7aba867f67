"""A build directory appears whole or not at all: it is written beside its place, flushed to the disk and renamed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qnn_deploy.emit import manifest
from qnn_deploy.errors import UserError
from qnn_deploy.files import make_folder, move, remedy


def check_replaceable(out: Path) -> None:
    """Refuse an ``out`` that is not missing, empty or an earlier build of ours.

    Raises:
        UserError: QD0105.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError("QD0105", "the output is a file, not a directory", where=str(out))
    try:
        foreign = any(out.iterdir()) and b'"schema_version"' not in (out / manifest.FILE).read_bytes()
    except OSError:
        foreign = True
    if foreign:
        help = "name a new or empty directory, or an earlier build"
        raise UserError("QD0105", "the output directory holds files that are not a build of qnn-deploy", where=str(out), help=help)


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A fresh folder that takes the place of ``out`` when the block ends well, and vanishes when it does not.

    Raises:
        UserError: QD0105 where anything cannot be written.
    """
    check_replaceable(out)
    out = out.absolute()
    scratch: Path | None = None
    try:
        make_folder(out.parent)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        fresh = scratch / "new"
        fresh.mkdir()
        yield fresh
        check_replaceable(out)
        if out.exists():
            # Two renames: the earlier build is out of the way only once the new one is complete.
            move(out, scratch / "old")
        move(fresh, out)
    except OSError as error:
        where, help = str(error.filename or out), remedy(error)
        raise UserError("QD0105", f"cannot write the output: {error.strerror or error}", where=where, help=help) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
