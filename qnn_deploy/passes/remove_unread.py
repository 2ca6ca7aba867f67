"""Nodes and constants that nothing reads are dropped, so that no pass reports or names them."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import remove_unused
from qnn_deploy.passes._importing import ImportPass


class RemoveUnread(ImportPass):
    """Drop what no output depends on."""

    def rewrite(self, model: ir.Model) -> bool:
        return remove_unused(model.graph)
