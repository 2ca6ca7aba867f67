"""What a pass is: an onnx_ir in-place pass that says which level it reads and which it leaves."""

from __future__ import annotations

import abc

import onnx_ir as ir

from qnn_deploy.errors import CompileErrors, QnnDeployError
from qnn_deploy.ir.levels import Level, verify


class LevelPass(ir.passes.InPlacePass):
    """A pass between levels; the checker of ``writes`` runs after it (design: a checker per level, after every pass).

    A pass reports every finding of its own with `fail`, goes on, and raises them together at its end.
    """

    reads: Level
    writes: Level

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[QnnDeployError] = []

    def fail(self, error: QnnDeployError) -> None:
        """Note a reason why the model cannot be deployed; the pass goes on to find the others."""
        self.findings.append(error)

    @abc.abstractmethod
    def rewrite(self, model: ir.Model) -> bool:
        """Change ``model`` in place; True where anything changed."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        self.findings = []
        modified = self.rewrite(model)
        if self.findings:
            raise CompileErrors(self.findings)
        verify(model, self.writes)
        return ir.passes.PassResult(model, modified)
