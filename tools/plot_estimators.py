#!/usr/bin/env python3
"""Draw docs/estimators.png: forward and backward of every gradient estimator.

    .venv/bin/python tools/plot_estimators.py [FILE]

Grey: sign. Blue: what the backward pass takes sign for, the integral of psi from 0. Red: psi, the backward pass.
Dashed: other values of the parameter that is annealed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from qnn_deploy.nn.estimators import ESTIMATORS, Estimator

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLUMNS = 4
# Further values of annealed parameters.
OTHERS = {"reste": [{"o": 1.0}, {"o": 2.0}], "ede": [{"t": 0.3}, {"t": 3.0}], "quadratic": [{"t": 0.3}, {"t": 3.0}]}


def draw(axes: Axes, estimator: Estimator) -> None:
    """One panel."""
    u = torch.linspace(-2.5, 2.5, 4001, dtype=torch.float64)
    curves = [(dict(estimator.parameters), "-")] + [({**estimator.parameters, **other}, "--") for other in OTHERS.get(estimator.name, [])]
    axes.plot(u, torch.where(u >= 0, 1.0, -1.0), color="0.7", lw=1.2)
    for parameters, style in curves:
        psi = estimator.psi(u, **parameters)
        width = 1.6 if style == "-" else 0.9
        axes.plot(u, integral(psi, u), "C0" + style, lw=width)
        axes.plot(u, psi, "C3" + style, lw=width)
    if estimator.weigh is not None:  # for both signs of the gradient, with a d that shows
        for grad in (1.0, -1.0):
            parameters = {key: 100 * value for key, value in estimator.parameters.items()}
            factor = estimator.weigh(torch.full_like(u, grad), u, torch.where(u >= 0, 1.0, -1.0), **parameters)
            axes.plot(u, factor, "C3--", lw=0.9)
    top = 5.2 if estimator.at_zero > 3 else 2.3
    axes.set(title=estimator.name + ("" if estimator.status == "confirmed" else " (inferred)"), xlim=(-2.5, 2.5), ylim=(-1.6, top))
    axes.axhline(0, color="0.85", lw=0.8, zorder=0)
    axes.axvline(0, color="0.85", lw=0.8, zorder=0)


def integral(psi: Tensor, u: Tensor) -> Tensor:
    """The integral of psi from 0 to u; u symmetric about 0."""
    total = torch.cumulative_trapezoid(psi, u)
    total = torch.cat([torch.zeros(1, dtype=u.dtype), total])
    return total - total[len(u) // 2]


def main() -> None:
    """Write the picture."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "docs" / "estimators.png"
    rows = -(-(len(ESTIMATORS) + 1) // COLUMNS)
    figure, grid = plt.subplots(rows, COLUMNS, figsize=(3 * COLUMNS, 2.3 * rows), sharex=True, layout="constrained")
    panels = list(grid.flat)
    for axes, estimator in zip(panels, ESTIMATORS.values(), strict=False):
        draw(axes, estimator)
        axes.tick_params(labelbottom=True, labelsize=8)
    for axes in panels[len(ESTIMATORS) :]:
        axes.axis("off")
    lines = {"sign": "0.7", "what psi is the derivative of": "C0", "psi(u), the backward pass": "C3"}
    handles = [matplotlib.lines.Line2D([], [], color=color, label=label) for label, color in lines.items()]
    handles.append(matplotlib.lines.Line2D([], [], color="0.3", ls="--", lw=0.9, label="other parameters (ewgs: d = 0.1)"))
    panels[-1].legend(handles=handles, loc="center", frameon=False, fontsize=9)
    figure.savefig(path, dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    main()
