"""Does this torch build compute BatchNorm by the contract's formula? Compared bit for bit, on values of every kind."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from qnn_deploy.ops._fma import fma
from qnn_deploy.ops.batch_norm import fold_batchnorm


@dataclasses.dataclass(frozen=True)
class BatchNormCheck:
    """``differing`` of ``values`` outputs had other bits than the formula's."""

    layer: str
    values: int
    differing: int


def values_for(channels: int, count: int, seed: int) -> NDArray[np.float32]:
    """About ``count`` float32 values [N, C, 8, 8] of four kinds: accumulators, normal, wide exponents, values next to integers."""
    rng = np.random.default_rng(seed)
    rows = max(4, -(-count // (channels * 64)) // 4 * 4 + 4)
    quarter = (rows // 4, channels, 8, 8)
    return np.concatenate(
        [
            rng.integers(-2304, 2305, quarter).astype(np.float32),
            rng.standard_normal(quarter, np.float32) * 8,
            np.ldexp(rng.uniform(-2, 2, quarter), rng.integers(-30, 30, quarter)).astype(np.float32),
            np.nextafter(rng.integers(-2304, 2305, quarter).astype(np.float32), np.float32(np.inf)),
        ]
    )


def check(layer: torch.nn.Module, name: str, count: int, seed: int = 0) -> BatchNormCheck:
    """Compare one torch BatchNorm layer (in ``eval()``) with the formula on at least ``count`` values, in chunks."""
    assert isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None and layer.running_var is not None
    gamma, beta, mean, var = (t.detach().numpy() for t in (layer.weight, layer.bias, layer.running_mean, layer.running_var))
    a, b = fold_batchnorm(gamma, beta, mean, var, layer.eps)
    done = differing = 0
    while done < count:
        x = values_for(layer.num_features, min(count, 1_000_000), seed + done)
        if isinstance(layer, torch.nn.BatchNorm1d):
            x = x.transpose(0, 2, 3, 1).reshape(-1, layer.num_features)
        with torch.no_grad():
            theirs = layer(torch.from_numpy(x)).numpy()
        shape = (1, -1, *[1] * (x.ndim - 2))
        ours = fma(x, a.reshape(shape), b.reshape(shape))
        differing += int((ours.view(np.uint32) != theirs.view(np.uint32)).sum())
        done += x.size
    return BatchNormCheck(name, done, differing)
