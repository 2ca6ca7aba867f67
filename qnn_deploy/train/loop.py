"""The training loop: Adam on latent weights, one-cycle learning rate, a checkpoint each epoch, resumable with the same result."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_deploy.data import Dataset
from qnn_deploy.nn.architectures import ARCHITECTURES
from qnn_deploy.nn.layers import QuantLayer
from qnn_deploy.train.data import augment, resize
from qnn_deploy.train.recipe import Recipe


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Linear warm-up to ``recipe.learning_rate``, then a cosine to zero; ``progress`` in [0, 1]."""
    if progress < recipe.warmup:
        return recipe.learning_rate * progress / recipe.warmup
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup)))


def image_size(recipe: Recipe, epoch: int, full: int) -> int:
    """Side of the training images in ``epoch``."""
    return _at(recipe.sizes, epoch / recipe.epochs, full)


def freeze(model: nn.Module, layers: int) -> None:
    """Stop learning in the first ``layers`` quantised layers and the BatchNorms behind them (module order is forward order)."""
    seen = 0
    for module in model.modules():
        if isinstance(module, QuantLayer):
            seen += 1
        if seen > layers:
            return
        if isinstance(module, (QuantLayer, nn.BatchNorm1d, nn.BatchNorm2d)):
            module.requires_grad_(False)
            module.eval()


def _at(table: tuple[tuple[float, int], ...], progress: float, default: int) -> int:
    """The value of the last row whose share is reached."""
    return next((value for share, value in reversed(table) if progress >= share), default)


def train(
    recipe: Recipe, train_set: Dataset, test_set: Dataset, folder: Path, *, resume: bool = False, report: Callable[[dict[str, float]], None]
) -> nn.Module:
    """Train ``recipe`` and return the latent model in ``eval()``.

    Writes ``last.pt`` (everything a resumed run needs) and ``metrics.csv`` into ``folder`` after each epoch; ``report`` gets the
    epoch's metrics. With ``resume`` it goes on after the last whole epoch of ``last.pt``.
    """
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    model = ARCHITECTURES[recipe.architecture](**recipe.arguments)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    images, labels = torch.from_numpy(train_set.images), torch.from_numpy(train_set.labels)
    first, last = 0, folder / "last.pt"
    if resume and last.exists():
        state = torch.load(last, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    forward = torch.compile(model, dynamic=False) if recipe.compile else model
    binary = [m.weight for m in model.modules() if isinstance(m, QuantLayer) and m.quantizer.bits == 1 and m.weight is not None]
    steps = len(images) // recipe.batch_size
    for epoch in range(first, recipe.epochs):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
        order = torch.randperm(len(images), generator=generator)
        size = image_size(recipe, epoch, images.shape[-1])
        start, total = time.perf_counter(), 0.0
        model.train()
        freeze(model, _at(recipe.freeze, epoch / recipe.epochs, 0))
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, (epoch + step / steps) / recipe.epochs)
            batch = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            x = resize(augment(images[batch], recipe.crop, recipe.flip, generator), size)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                logits = forward(x.contiguous(memory_format=torch.channels_last)).float()
            loss = F.cross_entropy(logits * recipe.logit_scale, labels[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                # Outside [-1, 1] a latent weight gets no gradient and would never come back (BinaryNet).
                for weight in binary:
                    weight.clamp_(-1, 1)
            total += loss.item()
        model.eval()
        correct = count_correct(model, test_set)
        metrics = {
            "epoch": epoch + 1,
            "epochs": recipe.epochs,
            "size": size,
            "loss": round(total / steps, 5),
            "test_correct": correct,
            "test_accuracy": round(correct / len(test_set.labels), 5),
            "seconds": round(time.perf_counter() - start, 1),
        }
        _append(folder / "metrics.csv", metrics, fresh=epoch == 0)
        temporary = last.with_suffix(".tmp")
        torch.save({"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, temporary)
        os.replace(temporary, last)
        report(metrics)
    return model.eval()


@torch.no_grad()
def count_correct(model: nn.Module, data: Dataset, batch_size: int = 500) -> int:
    """Top-1 hits of ``model`` on ``data``; a tie goes to the lowest class."""
    correct = 0
    for start in range(0, len(data.images), batch_size):
        x = torch.from_numpy(data.images[start : start + batch_size])
        predicted: Tensor = model(x.contiguous(memory_format=torch.channels_last)).argmax(dim=1)
        correct += int((predicted.numpy() == data.labels[start : start + batch_size]).sum())
    return correct


def _append(path: Path, row: dict[str, float], *, fresh: bool) -> None:
    with path.open("w" if fresh else "a", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
