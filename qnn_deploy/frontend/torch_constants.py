"""What a module computes from its parameters alone is computed here, by torch itself, before anything is translated.

A stranger's forward() binarises, standardises and scales its weights anew at each call: ``conv(x, sign(w) * w.abs().mean())``. Folded by
torch's own kernels, on one thread as the oracle runs, these tensors have the very bits that ``eval()`` uses; a sum over floats or a
standard deviation would not have them from any other library.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

from qnn_deploy.nn.threads import one_thread


class _CannotFoldError(Exception):
    """A parameter is written to with values that depend on the input."""


@torch.no_grad()
def fold_parameters(program: torch.export.ExportedProgram) -> None:
    """Replace, in place, every tensor that depends on parameters, buffers and constants only by a buffer that holds it."""
    try:
        with one_thread():
            used = _evaluate(program)
    except _CannotFoldError:
        return
    for number, (node, users) in enumerate(used.items()):
        placeholder = _buffer(program, f"folded_{number}", users[0][1])
        for user, _ in users:
            user.replace_input_with(node, placeholder)
    _remove_unread(program.graph)
    program.graph_module.recompile()


def _evaluate(program: torch.export.ExportedProgram) -> dict[fx.Node, list[tuple[fx.Node, Tensor]]]:
    """The computed constants that something else reads: node -> its readers, each with the value at that point."""
    values = _given(program)
    used: dict[fx.Node, list[tuple[fx.Node, Tensor]]] = {}
    for node in program.graph.nodes:
        if node.op not in ("call_function", "output"):
            continue
        inputs = node.all_input_nodes
        if node.op == "call_function" and inputs and all(each in values for each in inputs) and _is_pure(node):
            arguments, options = fx.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = node.target(*arguments, **options)
            continue
        if _is_mutable(node) and any(each in values for each in inputs):
            raise _CannotFoldError
        for each in inputs:
            if each.op == "call_function" and isinstance(values.get(each), Tensor):
                used.setdefault(each, []).append((node, values[each].clone()))
    return {node: users for node, users in used.items() if all(torch.equal(value, users[0][1]) for _, value in users)}


def _given(program: torch.export.ExportedProgram) -> dict[fx.Node, Any]:
    """Copies of parameters, buffers and constant tensors, by their placeholders."""
    stored = {**program.constants, **program.state_dict}
    targets = {
        spec.arg.name: spec.target
        for spec in program.graph_signature.input_specs
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
    }
    return {
        node: stored[targets[node.name]].detach().clone()
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in targets and isinstance(stored.get(targets[node.name]), Tensor)
    }


def _is_pure(node: fx.Node) -> bool:
    """True for a function of its arguments (which it may change): not for random numbers."""
    target = node.target
    if target is operator.getitem:
        return True
    return isinstance(target, torch._ops.OpOverload) and torch.Tag.nondeterministic_seeded not in target.tags


def _is_mutable(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _buffer(program: torch.export.ExportedProgram, name: str, value: Tensor) -> fx.Node:
    """A new input of the program that stands for the buffer ``name``."""
    graph, signature = program.graph, program.graph_signature
    specs = signature.input_specs
    position = next(index for index, spec in enumerate(specs) if spec.kind == InputKind.USER_INPUT)
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    with graph.inserting_before(placeholders[position]):
        placeholder = graph.placeholder(f"b_{name}")
    mode = placeholders[position].meta["val"].fake_mode
    placeholder.meta["val"] = mode.from_tensor(value, static_shapes=True)
    specs.insert(position, InputSpec(InputKind.BUFFER, TensorArgument(placeholder.name), name, persistent=True))
    program.state_dict[name] = value
    return placeholder


def _remove_unread(graph: fx.Graph) -> None:
    for node in reversed(list(graph.nodes)):
        if node.op == "call_function" and not node.users and not _is_mutable(node):
            graph.erase_node(node)
