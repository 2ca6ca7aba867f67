"""Straight-through gradient estimators: what the backward pass of ``sign`` or a ternary step uses in place of the zero derivative.

`ESTIMATORS` is the registry; docs/estimators.md draws each. A new one is a function of u and a row in `published` or `further`.
"""

from __future__ import annotations

from qnn_deploy.nn.estimators._base import Estimator
from qnn_deploy.nn.estimators.further import FURTHER
from qnn_deploy.nn.estimators.published import PUBLISHED

ESTIMATORS: dict[str, Estimator] = {estimator.name: estimator for estimator in (*PUBLISHED, *FURTHER)}

__all__ = ["ESTIMATORS", "FURTHER", "PUBLISHED", "Estimator"]
