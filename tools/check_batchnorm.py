"""Compare torch's BatchNorm with the contract's formula, layer by layer of a checkpoint: ``check_batchnorm.py MODEL.pt [VALUES]``.

Exit status 1 where a single value differs; then this torch build computes BatchNorm in another way and the formula is the reference.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from qnn_deploy.nn.batch_norm_check import check
from qnn_deploy.nn.checkpoint import load


def main() -> int:
    model, *_ = load(Path(sys.argv[1]))
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    total = 0
    for name, layer in layers:
        result = check(layer, name, count)
        total += result.differing
        print(f"{name:24} {result.values:>12,} values  {result.differing:>8,} differ", flush=True)
    build = f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"
    print(f"{len(layers)} layers, {build}: {total} values differ from the formula")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
