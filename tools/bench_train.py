#!/usr/bin/env python3
"""What fake quantisation costs in training: `bench_train.py [--precision float32] [--steps 20] [--rounds 7] [--threads 1]`.

ResNet-20 on random images of CIFAR-10's shape with each weight quantiser of the zoo, beside the same network in full precision: whole
training steps (augmentation, forward, backward, update) of the real loop, compiled, channels-last, the networks in turn within every
round. Times are the process's, of all its threads together, so that what else runs here counts little. Ratios are of the same round, and
their median.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from environment import enter

FLOAT = "float"
# Arguments of the architecture "resnet".
NETWORKS: dict[str, dict[str, object]] = {
    FLOAT: {"weights": "float", "activations": "float", "first": "float", "last": "float"},
    "ttq": {"weights": "ttq"},
    "xnor": {"weights": "xnor"},
    "tga": {"weights": "tga", "first": "tga", "last": "tga"},
    "ana": {"weights": {"name": "ana", "noise": "uniform", "strategy": "expectation"}},
    "blend": {"weights": {"name": "blend", "inner": "ttq"}},
}
# What is annealed in them.
SCHEDULES: dict[str, list[dict[str, object]]] = {
    "ana": [{"target": "*.sigma", "ramp": "linear", "start": 1.0, "final": 0.0}],
    "blend": [{"target": "*.alpha", "ramp": "cubic"}],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--steps", type=int, default=20, help="training steps of each network in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own choice")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    options = parser.parse_args()
    wanted = [FLOAT, *(name for name in options.networks.split(",") if name != FLOAT)]

    from qnn_deploy.data import Dataset
    from qnn_deploy.train.loop import prepare
    from qnn_deploy.train.parallel import make_fabric
    from qnn_deploy.train.recipe import make_recipe

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (128 * options.steps, 3, 32, 32), np.uint8)
    data = Dataset(images, random.integers(0, 10, len(images)), "random")
    runs = {}
    for name in wanted:
        table = {
            "architecture": "resnet", "arguments": NETWORKS[name], "data": "cifar10", "epochs": options.rounds + 1, "learning_rate": 1e-3,
            "optimizer": {"name": "sgd", "nesterov": True, "weight_decay": 1e-4}, "logit_scale": 0.04, "clip": "none", "crop": 4,
            "flip": True, "precision": options.precision, "compile": True, "threads": options.threads, "schedules": SCHEDULES.get(name, []),
        }  # fmt: skip
        recipe = make_recipe(table, name)
        fabric = make_fabric(recipe)
        run = prepare(fabric, recipe, lambda event, value: None)
        run.optimizer = run.optimizer.map(fabric.setup_optimizers)
        run.model.train()
        run.set_up_forward()
        runs[name] = run
        print(f"compiling {name}", flush=True)
        run.epoch(0, data)

    times: dict[str, list[float]] = {name: [] for name in runs}
    for epoch in range(options.rounds):
        for name, run in runs.items():
            start = time.process_time()
            run.epoch(epoch + 1, data)
            times[name].append((time.process_time() - start) / options.steps)
    print(f"{'weights':8} {'ms a step':>10} {'fastest':>8} {'ratio':>6} {'spread':>12}")
    for name, seconds in times.items():
        ratios = sorted(own / base for own, base in zip(seconds, times[FLOAT], strict=True))
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"{name:8} {statistics.median(seconds) * 1e3:10.1f} {min(seconds) * 1e3:8.1f} {statistics.median(ratios):6.2f} {spread:>12}")
    return 0


if __name__ == "__main__":
    enter("all")
    raise SystemExit(main())
