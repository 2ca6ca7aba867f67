"""``qnn-deploy run``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click

from qnn_deploy.cli._console import json_option, kernels_option, show, show_json
from qnn_deploy.errors import UserError, as_damage
from qnn_deploy.files import write_whole


@click.command("run")
@click.argument("name", metavar="X")
@click.option("--in", "source", metavar="FILE", required=True, help="An image, or a .npy array [N, C, H, W] or [C, H, W].")
@click.option("--out", metavar="FILE", help="Write the logits as .npy.")
@click.option("--target", metavar="T", help="For a .qdm or a build: the target.")
@click.option("--runner", metavar="R", help="host, qemu or ssh:HOST.")
@kernels_option
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Classes to show.")
@json_option
def command(name: str, source: str, out: str | None, target: str | None, runner: str | None, kernels: str, top: int, as_json: bool) -> None:
    """Run one input (or a batch) through X: a trained model, a build directory or a .qdm."""
    import numpy as np

    from qnn_deploy.evaluate import subjects
    from qnn_deploy.evaluate.parity import top1

    images = read_input(Path(source))
    subject = subjects.predictor(name, target=target, runner=runner, kernels=kernels)
    logits = subject.run(images)
    if out is not None:
        stream = io.BytesIO()
        np.save(stream, logits)
        write_whole(Path(out), stream.getvalue())
    classes = top1(logits, subject.classes)
    if as_json:
        show_json({"schema_version": 1, "logits": logits.tolist(), "top1": classes.tolist()})
        return
    # Stable, so that a tie goes to the lowest class.
    order = np.argsort(-logits, axis=1, kind="stable")
    for index, row in enumerate(order):
        if logits.ndim > 2:
            found, counts = np.unique(classes[index], return_counts=True)
            best = ", ".join(f"{found[i]} ({counts[i]})" for i in np.argsort(-counts, kind="stable")[:top])
            show(f"{index}: a map of {' x '.join(map(str, logits.shape[1:]))}; best class of most pixels: {best}")
            continue
        best = ", ".join(f"{int(c)} ({_number(logits[index, c])})" for c in row[:top]) if len(row) > 1 else _number(logits[index, 0])
        show(f"{index}: {best}" if len(order) > 1 else best)


def _number(value: Any) -> str:
    return f"{float(value):.9g}"


def read_input(path: Path) -> Any:
    """Images [N, C, H, W] from a .npy file or an image file.

    Raises:
        UserError: QD0101 where it cannot be read, QD0104 where it is no array or image, QD0111 where Pillow is missing.
    """
    from qnn_deploy.images import decode_image, read_npy

    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError("QD0101", f"cannot read the input: {error.strerror or error}", where=str(path)) from error
    if content[:6] != b"\x93NUMPY":
        return decode_image(content, code="QD0104", what="neither an image nor a .npy array", where=str(path), grey=True)[None]
    with as_damage("QD0104", "a damaged .npy file, or one that holds objects", where=str(path)):
        array = read_npy(io.BytesIO(content))
    return array[None] if array.ndim == 3 else array
