"""Devices, precision and processes, by Lightning Fabric; and a way for what happens in a process to reach the caller."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from qnn_deploy.errors import QnnDeployError, UserError
from qnn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Here and not in a function: a spawned process imports this file before it joins the others, which Fabric would announce.
logging.getLogger("lightning_fabric.utilities").setLevel(logging.WARNING)

Emit = Callable[[str, Any], None]
"""Takes the name of an event and its value (plain data)."""


def make_fabric(recipe: Recipe) -> Fabric:
    """The Fabric that ``recipe`` asks for: device, precision, and processes that ``launch`` starts.

    Raises:
        UserError: QD0111 where the package is missing, QD0202 where the devices are not there.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise UserError("QD0111", "training needs Lightning Fabric", help='pip install "qnn-deploy[torch]"') from error
    found = torch.cuda.device_count()
    cuda = recipe.device == "cuda" or (recipe.device == "auto" and found >= recipe.devices)
    if cuda and found < recipe.devices:
        raise UserError("QD0202", f"'devices' asks for {recipe.devices} CUDA devices, and {found} are there")
    return Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=recipe.devices,
        strategy="ddp_spawn" if recipe.devices > 1 else "auto",
        precision="bf16-mixed" if recipe.precision == "bfloat16" else "32-true",
    )


def launch(fabric: Fabric, function: Callable[..., Any], *args: Any, emit: Emit) -> None:
    """Run ``function(fabric, *args, emit=...)`` in every process of ``fabric``; in this one where one is all.

    With several, ``function`` and ``args`` are pickled, and ``emit`` is called from a thread of this process.

    Raises:
        QnnDeployError: what ``function`` raised, from whichever process.
    """
    if fabric.strategy.launcher is None:
        function(fabric, *args, emit=emit)
        return
    from torch.multiprocessing.spawn import ProcessException

    queue = multiprocessing.get_context("spawn").SimpleQueue()
    raised: list[BaseException] = []
    pump = threading.Thread(target=_pump, args=(queue, emit, raised))
    pump.start()
    others, port = set(multiprocessing.active_children()), os.environ.get("MASTER_PORT")
    failure: ProcessException | None = None
    try:
        # In a partial, because Fabric looks into containers and refuses the frozen dataclasses it finds.
        fabric.launch(functools.partial(_process, functools.partial(_call, function, args), queue))
    except ProcessException as error:
        failure = error
    finally:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()  # only there after an interrupt: it would train on
            child.join()
        if port is None:
            os.environ.pop("MASTER_PORT", None)  # Fabric leaves it behind, and the next run would take a used port
        queue.put(None)
        pump.join()
    if raised:
        raise raised[0]
    if failure is not None:
        raise QnnDeployError("QD0901", f"a training process failed: {failure}") from failure


def _call(function: Callable[..., Any], args: tuple[Any, ...], fabric: Fabric, emit: Emit) -> None:
    # Gradients of channels-last weights are copied into the buckets that are sent: slower, and as intended.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    function(fabric, *args, emit=emit)


def _process(call: Callable[[Fabric, Emit], None], queue: Any, fabric: Fabric) -> None:
    try:
        call(fabric, lambda name, value: queue.put((name, value)))
    except QnnDeployError as error:
        queue.put(("error", (type(error), error.code, error.message, error.where, error.help)))
        raise


def _pump(queue: Any, emit: Emit, raised: list[BaseException]) -> None:
    while (event := queue.get()) is not None:
        name, value = event
        if name == "error":
            kind, code, message, where, help = value
            raised.append(kind(code, message, where=where, help=help))
            continue
        try:
            emit(name, value)
        except BaseException as error:  # the caller's own; the processes must not wait for a full pipe
            raised.append(error)
