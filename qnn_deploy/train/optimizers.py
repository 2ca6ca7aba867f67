"""Optimisers by name, and which parameters get which rules.

Every parameter belongs to the first of these that fits:

1. a table of ``groups`` whose ``match`` fits its name;
2. the thresholds that a quantiser learns apart (``separate``: TGA, He and Fan 2019): no weight decay;
3. weights of two dimensions and more, and what weight quantisers learn (TTQ's scales): the optimiser's weight decay;
4. the rest (BatchNorm, biases, slopes): no weight decay.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from qnn_deploy.errors import UserError
from qnn_deploy.nn.layers import QuantLayer
from qnn_deploy.train.bop import Bop
from qnn_deploy.train.spec import arguments, resolve

Groups = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Group:
    """Rules for the parameters whose names fit ``match``, an `fnmatch` pattern such as "*.bias".

    Attributes:
        factor: on the learning rate.
        weight_decay: in place of the optimiser's.
        gradient_limit: gradients are clamped to its negative and it; 0 for no limit.
    """

    match: str
    factor: float = 1.0
    weight_decay: float = 0.0
    gradient_limit: float = 0.0


def adam(groups: Groups, lr: float, /, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0) -> Optimizer:
    """Adam (Kingma and Ba 2015); weight decay goes into the gradient."""
    return torch.optim.Adam(groups, lr, betas=_pair(betas), eps=eps, weight_decay=weight_decay)


def adamw(groups: Groups, lr: float, /, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2) -> Optimizer:
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019)."""
    return torch.optim.AdamW(groups, lr, betas=_pair(betas), eps=eps, weight_decay=weight_decay)


def sgd(groups: Groups, lr: float, /, momentum: float = 0.9, nesterov: bool = False, weight_decay: float = 0.0) -> Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(groups, lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)


def bop(groups: Groups, lr: float, /, gamma: float = 1e-4, threshold: float = 1e-8, rest: str | dict[str, Any] = "adam") -> Optimizer:
    """Bop for the binary weights (Helwegen et al. 2019), ``rest`` for everything else. ``gamma`` takes the place of their learning rate:
    the schedule's factor goes on it too."""
    return Bop(groups, gamma, threshold)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adam": adam, "adamw": adamw, "sgd": sgd, "bop": bop}


def _pair(values: Sequence[float]) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)


def read_optimizer(spec: object, where: str = "") -> dict[str, Any]:
    """``{"name", arguments, "groups", "two_pass"}`` with every default filled in.

    Raises:
        UserError: QD0202 for an unknown, missing or ill-typed entry.
    """
    table = {"name": spec} if isinstance(spec, str) else dict(spec) if isinstance(spec, dict) else {}
    groups, two_pass = table.pop("groups", []), table.pop("two_pass", False)
    if not isinstance(groups, (list, tuple)) or not all(isinstance(group, dict) for group in groups):
        raise UserError("QD0202", f"'optimizer.groups' takes tables, not {groups!r}", where=where)
    if not isinstance(two_pass, bool):
        raise UserError("QD0202", f"'optimizer.two_pass' takes bool, not {two_pass!r}", where=where)
    resolved = resolve(table or spec, OPTIMIZERS, "optimizer", where)
    if "rest" in resolved:
        others = {name: build for name, build in OPTIMIZERS.items() if name != resolved["name"]}
        resolved["rest"] = resolve(resolved["rest"], others, "optimizer.rest", where)
    resolved["groups"] = [arguments(group, Group, f"optimizer.groups[{i}]", where) for i, group in enumerate(groups)]
    return resolved | {"two_pass": two_pass}


class OptimizerSet:
    """The optimisers of one model, which step together.

    Attributes:
        main: those of every step.
        first: those of the pass before it (two-pass update); empty where one pass is all.
    """

    def __init__(self, main: Sequence[Optimizer], first: Sequence[Optimizer]) -> None:
        self.main, self.first = list(main), list(first)

    def map(self, function: Callable[[Optimizer], Any]) -> OptimizerSet:
        """A set of ``function`` of each optimiser (Fabric's wrapper)."""
        return OptimizerSet([function(each) for each in self.main], [function(each) for each in self.first])

    def set_factor(self, factor: float) -> None:
        """Give each group ``factor`` times its own learning rate (Bop: its gamma)."""
        for each in self.main + self.first:
            for group in each.param_groups:
                group["gamma" if "gamma" in group else "lr"] = group["base"] * factor

    def zero_grad(self) -> None:
        for each in self.main + self.first:
            each.zero_grad(set_to_none=True)

    def step(self, *, first: bool = False) -> None:
        """One step of ``main`` (or ``first``), with the limits on gradients applied before."""
        for each in self.first if first else self.main:
            for group in each.param_groups:
                if group["gradient_limit"]:
                    for parameter in group["params"]:
                        if parameter.grad is not None:
                            parameter.grad.clamp_(-group["gradient_limit"], group["gradient_limit"])
            each.step()

    def state_dict(self) -> list[dict[str, Any]]:
        return [each.state_dict() for each in self.main + self.first]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        for each, state in zip(self.main + self.first, states, strict=True):
            each.load_state_dict(state)


def make_optimizer(spec: object, model: nn.Module, learning_rate: float = 0.0) -> OptimizerSet:
    """The optimisers that ``spec`` (a name or a table, see `read_optimizer`) names, over every parameter of ``model``.

    Raises:
        UserError: QD0202 for a bad spec, a pattern that fits no parameter, a two-pass update where no quantiser learns anything apart,
            or Bop for a network without binary weights.
    """
    table = read_optimizer(spec)
    rules, two_pass = [Group(**group) for group in table.pop("groups")], table.pop("two_pass")
    names = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    separate, binary = separate_parameters(model), binary_parameters(model)
    if two_pass and not separate:
        help = "take a quantiser that has them, or leave two_pass out"
        raise UserError("QD0202", "'optimizer.two_pass' is set, and no quantiser learns thresholds apart", help=help)
    if table["name"] == "bop" and not binary:
        raise UserError("QD0202", "'optimizer' is bop, and the network has no binary weights", help="choose another, or binary weights")

    def build(table: dict[str, Any], wanted: set[str]) -> list[Optimizer]:
        function, given = OPTIMIZERS[table["name"]], {key: value for key, value in table.items() if key != "name"}
        defaults = [Group(""), Group("", weight_decay=table.get("weight_decay", 0.0)), Group("")]
        members: list[list[nn.Parameter]] = [[] for _ in rules + defaults]
        for name in names:
            if name in wanted:
                fitting = next((i for i, rule in enumerate(rules) if fnmatch.fnmatchcase(name, rule.match)), None)
                last = 0 if name in separate else 1 if names[name].dim() >= 2 or ".quantizer." in name else 2
                members[len(rules) + last if fitting is None else fitting].append(names[name])
        base = given.get("gamma", learning_rate)
        groups = [
            {"params": params, "base": base * rule.factor, "weight_decay": rule.weight_decay, "gradient_limit": rule.gradient_limit}
            for rule, params in zip(rules + defaults, members, strict=True)
            if params
        ]
        return [function(groups, learning_rate, **given)] if groups else []

    _check_matches(rules, names)
    first = separate if two_pass else set()
    if table["name"] == "bop":
        main = build(table, binary) + build(table["rest"], names.keys() - binary - first)
        return OptimizerSet(main, build(table["rest"], first))
    return OptimizerSet(build(table, names.keys() - first), build(table, first))


def _check_matches(rules: Sequence[Group], names: Iterable[str]) -> None:
    left = list(names)
    for rule in rules:
        rest = [name for name in left if not fnmatch.fnmatchcase(name, rule.match)]
        if len(rest) == len(left):
            known = ", ".join(left[:12]) + (" ..." if len(left) > 12 else "")
            raise UserError("QD0202", f"'optimizer.groups': {rule.match!r} fits no parameter that is left", help=f"left are: {known}")
        left = rest


def separate_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters that their quantisers list as ``separate``."""
    found = ((path, name) for path, module in model.named_modules() for name in getattr(module, "separate", ()))
    return {f"{path}.{name}" for path, name in found}


def binary_parameters(model: nn.Module) -> set[str]:
    """Names of the latent weights of the layers with one bit."""
    layers = ((path, module) for path, module in model.named_modules() if isinstance(module, QuantLayer))
    return {f"{path}.weight".lstrip(".") for path, layer in layers if layer.quantizer.bits == 1}
