"""Write ``expected.json`` of shipped models from their checkpoints: ``update_expected.py models/NAME...``

The file states what the checkpoint gives (correct test images, a hash of the first logits) and what it becomes (bytes and hash of
the packed model). ``tests/test_models.py`` compares; this is run by hand, after training.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from qnn_deploy.data import load
from qnn_deploy.emit.qdm import encode
from qnn_deploy.files import write_whole
from qnn_deploy.frontend import load_model
from qnn_deploy.nn.truth import logits
from qnn_deploy.passes.pipeline import lower
from qnn_deploy.plan import plan
from qnn_deploy.train.recipe import read_recipe

FIRST = 256


def compiled(folder: Path) -> dict[str, Any]:
    """What needs no data: the packed model's size and hash."""
    program = plan(lower(load_model(str(folder / "model.pt")).model).model)
    packed = encode(program)
    return {"qdm_bytes": len(packed), "qdm_sha256": hashlib.sha256(packed).hexdigest(), "arena_bytes": program.arena, "macs": program.macs}


def evaluated(folder: Path, limit: int | None = None) -> dict[str, Any]:
    """What the trained model gives on its test images; the hash covers the logits of the first images, as float32 bytes."""
    data = load(read_recipe(folder / "recipe.toml").data).take(limit)
    outputs = logits(load_model(str(folder / "model.pt")).module, data.images)
    correct = int((outputs.argmax(1) == data.labels).sum())
    first = hashlib.sha256(outputs[:FIRST].tobytes()).hexdigest()
    return {"data": data.name, "images": len(data.labels), "correct": correct, "first_logits_sha256": first}


def main() -> None:
    for name in sys.argv[1:]:
        folder = Path(name)
        expected = {"schema_version": 1, **evaluated(folder), **compiled(folder)}
        write_whole(folder / "expected.json", (json.dumps(expected, indent=2) + "\n").encode())
        print(f"{folder.name}: {expected['correct']} of {expected['images']} ({expected['data']}), {expected['qdm_bytes']} bytes")


if __name__ == "__main__":
    main()
