"""From the exact graph (L2) to a planned program (L3): layout, packing, fusion of epilogues, arena."""

from qnn_deploy.plan.lowering import plan

__all__ = ["plan"]
