"""The training loop on latent weights: a checkpoint each epoch, resumable with the same result."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from qnn_deploy.data import Dataset
from qnn_deploy.errors import as_damage
from qnn_deploy.nn.anneal import Schedule, Scheduler
from qnn_deploy.train import metrics, state
from qnn_deploy.train.allocator import keep_freed_memory
from qnn_deploy.train.build import build_network, load_trained
from qnn_deploy.train.clipping import make_clip
from qnn_deploy.train.distill import Teacher
from qnn_deploy.train.epoch import Run
from qnn_deploy.train.evaluation import count_correct
from qnn_deploy.train.init import warm_start
from qnn_deploy.train.metrics import Row
from qnn_deploy.train.optimizers import make_optimizer
from qnn_deploy.train.parallel import Emit, launch, make_fabric
from qnn_deploy.train.progressive import at, freeze
from qnn_deploy.train.recipe import Recipe, keep_recipe
from qnn_deploy.train.teacher import SoftTargets

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Report = Callable[[Row], None]
Progress = Callable[[int, int, int, int], None]
"""Takes the epoch, the number of epochs, the steps done in it and their number."""


def train(
    recipe: Recipe,
    train_set: Dataset,
    test_set: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    report: Report = lambda row: None,
    progress: Progress = lambda epoch, epochs, step, steps: None,
) -> nn.Module:
    """Train ``recipe`` and return the latent model in ``eval()``, on the CPU.

    Writes ``last.pt`` (everything a resumed run needs) and ``metrics.csv`` into ``folder`` after each epoch; ``report`` gets the
    epoch's metrics. With ``resume`` it goes on after the last whole epoch of ``last.pt``, where there is one.

    Raises:
        UserError: QD0204 where the loss leaves the finite numbers, QD0205 where ``last.pt`` belongs to another run, QD0105 where
            nothing can be written; ``last.pt`` then holds the last whole epoch.
    """

    def emit(name: str, value: Any) -> None:
        if name == "row":
            report(value)
        else:
            progress(*value)

    launch(make_fabric(recipe), train_process, recipe, train_set, test_set, folder, resume, emit=emit)
    return load_trained(folder)


def prepare(fabric: Fabric, recipe: Recipe, emit: Emit) -> Run:
    """A run before its first epoch: network, optimiser, schedules, clip and teacher, whose optimiser `Fabric` does not know yet."""
    from lightning_fabric import seed_everything

    if fabric.device.type == "cpu":
        keep_freed_memory()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    seed_everything(recipe.seed, verbose=False)
    model = build_network(recipe)
    if recipe.init:
        warm_start(model, Path(recipe.init))
    model = model.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher: Callable[[Tensor], Tensor] | None = None
    if recipe.distill:
        teacher = SoftTargets(Teacher(**recipe.distill)).to(fabric.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        teacher = torch.compile(teacher, dynamic=False) if recipe.compile else teacher
    optimizer = make_optimizer(recipe.optimizer, model, recipe.learning_rate)
    scheduler = Scheduler(model, [Schedule(**table) for table in recipe.schedules], recipe.epochs)
    return Run(fabric, recipe, model, model, optimizer, scheduler, make_clip(recipe.clip, model), teacher, emit, [])


def train_process(
    fabric: Fabric, recipe: Recipe, train_set: Dataset, test_set: Dataset, folder: Path, resume: bool, *, emit: Emit
) -> nn.Module:
    """`train` in one of the processes of ``fabric``; events are "row" and "progress"."""
    from lightning_fabric import seed_everything

    run = prepare(fabric, recipe, emit)
    model = run.model
    data, last = state.data_digests(train=train_set, test=test_set), folder / state.FILE
    if resume and last.exists():
        saved = state.load(last)
        state.check_same_run(saved, recipe, data, last)
        with as_damage("QD0102", "the training state is damaged", where=str(last), help="start again without --resume"):
            model.load_state_dict(saved.model)
            run.optimizer.load_state_dict(saved.optimizer)
            run.scheduler.load_state_dict(saved.scheduler)
            state.set_rng_state(saved.rng[fabric.global_rank])
        run.rows = saved.rows
    rows = run.rows
    if fabric.is_global_zero:
        keep_recipe(recipe, folder / "recipe.toml")
        if rows:
            metrics.write_csv(folder / "metrics.csv", rows)  # the run may have died between the two files
    elif not rows:
        seed_everything(recipe.seed + fabric.global_rank, verbose=False)
    board = metrics.TensorBoard(folder / "tensorboard", len(rows) + 1) if recipe.tensorboard and fabric.is_global_zero else None
    run.optimizer = run.optimizer.map(fabric.setup_optimizers)
    integers = metrics.low_bit_weights(model.eval())
    frozen = None
    for epoch in range(len(rows), recipe.epochs):
        layers = at(recipe.freeze, epoch / recipe.epochs, 0)
        model.train()
        freeze(model, layers)
        if layers != frozen:  # processes that share gradients have to know anew which ones
            run.set_up_forward()
            frozen = layers
        row = run.epoch(epoch, train_set)
        model.eval()
        before, integers = integers, metrics.low_bit_weights(model)
        row |= {"flip_ratio": metrics.flip_ratio(before, integers), "sparsity": metrics.sparsity(integers)}
        correct = count_correct(model, test_set, rank=fabric.global_rank, ranks=fabric.world_size)
        row["test_correct"] = int(run.sum(correct))
        row["test_accuracy"] = round(row["test_correct"] / len(test_set.labels), 5)
        row["seconds"] = round(time.perf_counter() - row["seconds"], 1)
        rows.append({name: row[name] for name in metrics.COLUMNS})
        snapshot = run.snapshot(epoch, data)
        if fabric.is_global_zero:
            state.save(last, snapshot)
            metrics.write_csv(folder / "metrics.csv", rows)
            if board is not None:
                board.write(rows[-1])
            emit("row", rows[-1])
        fabric.barrier()
    if board is not None:
        board.close()
    return model.eval()
