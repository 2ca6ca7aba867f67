"""Where things are kept between runs: ``$XDG_CACHE_HOME/qnn-deploy``, else ``~/.cache/qnn-deploy``."""

from __future__ import annotations

import os
from pathlib import Path

from qnn_deploy.errors import UserError


def cache_folder(name: str) -> Path:
    """The folder ``name`` of the cache, made where it is missing.

    Raises:
        UserError: QD0105 where it cannot be made.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "qnn-deploy" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        help = "set XDG_CACHE_HOME to a folder that can be written"
        raise UserError("QD0105", f"cannot make the cache folder: {error.strerror}", where=str(folder), help=help) from error
    return folder
