"""Drop what nothing reads any more, so that artefacts hold what runs and no more."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import remove_unused
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass


class RemoveUnused(LevelPass):
    """Remove unread nodes and initializers."""

    reads = Level.L2
    writes = Level.L2

    def rewrite(self, model: ir.Model) -> bool:
        return remove_unused(model.graph)
