"""What the commands share: JSON or text on stdout, progress on stderr where it is a terminal."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, nothing else.")
data_option = click.option(
    "--data",
    metavar="D",
    help="digits, cifar10[:PATH], folder:PATH, npy:FILE or package.module:function. Default: digits or cifar10 by shape.",
)
_FAMILIES = "Kernel family: auto, ref, avx2, avx512, neon, dotprod or arm32."
kernels_option = click.option("--kernels", default="auto", show_default=True, help=_FAMILIES)


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """``text`` with control characters written out: names from a stranger's file must not steer the terminal."""
    return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


def show(text: str) -> None:
    """Data for people, on stdout."""
    click.echo(printable(text))


def show_json(value: Any) -> None:
    """Data for programs, on stdout."""
    click.echo(json.dumps(value, indent=1))


def width() -> int:
    """Columns of the terminal; 120 where stdout is none (``COLUMNS`` overrides)."""
    return shutil.get_terminal_size((120, 24)).columns


def note(text: str) -> None:
    """A message, on stderr."""
    click.echo(printable(text), err=True)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that shows the stage at work on a terminal's stderr, and does nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield lambda stage: status.update(stage)
