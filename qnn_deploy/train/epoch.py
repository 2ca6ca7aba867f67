"""One epoch of training: forward, loss, backward, update, clip, and what is measured on the way."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_deploy.data import Dataset
from qnn_deploy.errors import QnnDeployError
from qnn_deploy.nn.anneal import Scheduler
from qnn_deploy.train import state
from qnn_deploy.train.clipping import Clip
from qnn_deploy.train.data import augment, batches, resize
from qnn_deploy.train.distill import distillation_loss
from qnn_deploy.train.lr_schedules import lr_factor
from qnn_deploy.train.metrics import Row
from qnn_deploy.train.nonfinite import diverged, first_non_finite_layer, non_finite_state
from qnn_deploy.train.optimizers import OptimizerSet
from qnn_deploy.train.parallel import Emit
from qnn_deploy.train.progressive import at
from qnn_deploy.train.recipe import Recipe, plain

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_PROGRESS_SECONDS = 0.1


@dataclasses.dataclass
class Run:
    """One process's part in a run, and what its steps share.

    Attributes:
        model: the latent network; forward: the same, compiled and wrapped for the other processes.
        teacher: the network that is distilled, images to soft targets (`teacher.SoftTargets`).
        emit: takes events, "progress" here.
        rows: the metrics of the epochs before.
    """

    fabric: Fabric
    recipe: Recipe
    model: nn.Module
    forward: Callable[[Tensor], Tensor]
    optimizer: OptimizerSet
    scheduler: Scheduler
    clip: Clip
    teacher: Callable[[Tensor], Tensor] | None
    emit: Emit
    rows: list[Row]

    def set_up_forward(self) -> None:
        """Compile the network where the recipe says so, and wrap it for the other processes: once for each set of frozen layers."""
        whole: Any = torch.compile(self.model, dynamic=False) if self.recipe.compile else self.model
        self.forward = self.fabric.setup_module(whole)

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """Cross-entropy, mixed with the teacher's term where there is one."""
        logits = logits * self.recipe.logit_scale
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        if self.teacher is None:
            return loss
        assert self.recipe.distill is not None
        soft = distillation_loss(logits, self.teacher(images), self.recipe.distill["temperature"])
        weight: float = self.recipe.distill["weight"]
        return (1 - weight) * loss + weight * soft

    def step(self, x: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[float, Tensor]:
        """Forward, backward, update; (loss, number of right answers). The clip is the caller's."""
        for first in [True, False] if self.optimizer.first else [False]:
            logits = self.forward(x)
            loss = self.loss(logits, labels, x)
            value = loss.item()
            if not math.isfinite(value):
                self.stop(f"the loss is {value} in step {step + 1} of epoch {epoch + 1}", x)
            self.optimizer.zero_grad()
            self.fabric.backward(loss)
            # A sign makes -1 of NaN: the loss of a binary network may stay finite while its gradients are not.
            gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
            if not math.isfinite(nn.utils.get_total_norm(gradients).item()):
                self.stop(f"the gradient is not finite in step {step + 1} of epoch {epoch + 1}", x)
            self.scheduler.hold()
            self.optimizer.step(first=first)
        return value, (logits.argmax(1) == labels).sum()

    def stop(self, what: str, x: Tensor) -> None:
        """Raise QD0204 with the place where the numbers are no longer finite, found by another forward pass on the batch ``x``."""
        with self.fabric.autocast():
            place = first_non_finite_layer(self.model, x) or non_finite_state(self.model)
        kept = f"{state.FILE} holds epoch {self.rows[-1]['epoch']}" if self.rows else "no epoch was finished"
        raise diverged(what, place, kept)

    def epoch(self, epoch: int, train_set: Dataset) -> Row:
        """Train one epoch; its metrics, but for those of the evaluation. ``seconds`` is when it began."""
        recipe, fabric = self.recipe, self.fabric
        assert isinstance(recipe.lr_schedule, dict)
        start = shown = time.perf_counter()
        images, labels = torch.from_numpy(train_set.images), torch.from_numpy(train_set.labels)
        size = at(recipe.sizes, epoch / recipe.epochs, images.shape[-1])
        steps = len(images) // recipe.batch_size
        total, correct, clipped = 0.0, torch.zeros((), dtype=torch.int64, device=fabric.device), None
        share = {"seed": recipe.seed, "epoch": epoch, "rank": fabric.global_rank, "ranks": fabric.world_size}
        for step, (x, y, generator) in enumerate(batches(images, labels, recipe.batch_size, **share)):
            done = (epoch + step / steps) / recipe.epochs
            self.scheduler.set_progress(done)
            factor = lr_factor(recipe.lr_schedule, done, recipe.warmup, recipe.epochs)
            self.optimizer.set_factor(factor)
            part = size if recipe.resize == "crop" else 0
            x = resize(augment(x.to(fabric.device), recipe.crop, recipe.flip, generator, part), size)
            value, right = self.step(x.contiguous(memory_format=torch.channels_last), y.to(fabric.device), epoch, step)
            total, correct = total + value, correct + right
            clipped = self.clip(self.model)
            if fabric.is_global_zero and (now := time.perf_counter()) - shown > _PROGRESS_SECONDS:
                shown = now
                self.emit("progress", (epoch, recipe.epochs, step + 1, steps))
        if (name := non_finite_state(self.model)) is not None:
            self.stop(f"{name} is not finite behind epoch {epoch + 1}", x)
        self.scheduler.set_progress((epoch + 1) / recipe.epochs)
        if fabric.world_size > 1:
            _agree(fabric, self.model)
        return {
            "epoch": epoch + 1,
            "epochs": recipe.epochs,
            "size": size,
            "loss": round(self.sum(total) / steps / fabric.world_size, 5),
            "train_accuracy": round(self.sum(int(correct)) / (steps * recipe.batch_size), 5),
            "learning_rate": float(f"{recipe.learning_rate * factor:.6g}"),
            "clip_fraction": None if clipped is None else round(float(clipped), 6),
            "seconds": start,
        }

    def sum(self, value: float) -> float:
        """The sum of ``value`` over all processes."""
        total = self.fabric.all_reduce(torch.tensor(value, dtype=torch.float64, device=self.fabric.device), reduce_op="sum")
        assert isinstance(total, Tensor)
        return total.item()

    def snapshot(self, epoch: int, data: dict[str, str]) -> state.Snapshot:
        """The state behind ``epoch``; a call for all processes."""
        rng = [state.rng_state()]
        if self.fabric.world_size > 1:
            rng = [{}] * self.fabric.world_size
            torch.distributed.all_gather_object(rng, state.rng_state())
        scheduler = dict(self.scheduler.state_dict())
        return state.Snapshot(
            epoch, self.model.state_dict(), self.optimizer.state_dict(), scheduler, rng, self.rows, plain(self.recipe), data
        )


@torch.no_grad()
def _agree(fabric: Fabric, model: nn.Module) -> None:
    """Average the statistics that each process gathered on its own part, and make sure that the weights are the same everywhere."""
    for buffer in model.buffers():
        if buffer.is_floating_point():
            reduced = fabric.all_reduce(buffer, reduce_op="mean")
            assert isinstance(reduced, Tensor)
            buffer.copy_(reduced)
    digests: list[Any] = [None] * fabric.world_size
    own = [hashlib.sha256(tensor.cpu().contiguous().numpy().tobytes()).hexdigest() for tensor in model.state_dict().values()]
    torch.distributed.all_gather_object(digests, own)
    if any(digest != digests[0] for digest in digests):
        raise QnnDeployError("QD0901", "the processes of one training have come apart: their weights differ")
