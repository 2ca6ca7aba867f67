"""Names that people can find in their own code: nodes after the module path, values after their node, constants after their role."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, LAYER, is_op
from qnn_deploy.passes._importing import ImportPass

_ROLES = {
    ("", "Conv"): ("", "weight"),
    ("", "Gemm"): ("", "weight"),
    ("", "BatchNormalization"): ("", "gamma", "beta", "mean", "var"),
    ("", "Clip"): ("", "low", "high"),
    (DOMAIN, "SubtractZero"): ("", "zero"),
    (DOMAIN, "FloatConv"): ("", "weight"),
    (DOMAIN, "FloatDense"): ("", "weight"),
    (DOMAIN, "Scale"): ("", "scale"),
    (DOMAIN, "Bias"): ("", "bias"),
    (DOMAIN, "PRelu"): ("", "slope"),
    (DOMAIN, "Quantize"): ("", "step"),
}


class NameNodes(ImportPass):
    """1. The main node of a module is named after its path, "layers.3": its only convolution or dense layer, else its last node.

    2. Its other nodes get the operator behind it, "layers.3.scale".
    3. Operators outside modules are named after themselves, "add", "add.2".
    4. The input is "x", the output "logits".
    """

    def rewrite(self, model: ir.Model) -> bool:
        graph = model.graph
        layers: dict[str, list[ir.Node]] = {}
        for node in graph:
            layers.setdefault(node.metadata_props.get(LAYER, ""), []).append(node)
        main: dict[ir.Node, str] = {}
        for layer, nodes in layers.items():
            if layer:
                reductions = [
                    node for node in nodes if is_op(node, "Conv", "Gemm") or is_op(node, "FloatConv", "FloatDense", domain=DOMAIN)
                ]
                main[reductions[0] if len(reductions) == 1 else nodes[-1]] = layer
        taken = set(main.values())
        for layer, nodes in layers.items():
            for node in nodes:
                name = main.get(node) or _free(f"{layer}.{node.op_type.lower()}".lstrip("."), taken)
                node.name = name
                taken.add(name)
        _rename_values(graph)
        return True


def _free(base: str, taken: set[str]) -> str:
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}.{count}"
    return name


def _rename_values(graph: ir.Graph) -> None:
    wanted: dict[ir.Value, str] = {graph.inputs[0]: "x"}
    taken = {"x", "logits"}
    for node in graph:
        for output in node.outputs:
            name = "logits" if output is graph.outputs[0] else _free(node.name or node.op_type, taken)
            wanted[output] = name
            taken.add(name)
        for index, value in enumerate(node.inputs):
            if value is not None and value.is_initializer() and value not in wanted:
                roles = _ROLES.get((node.domain, node.op_type), ())
                role = roles[index] if index < len(roles) else f"constant{index}"
                wanted[value] = _free(f"{node.name}.{role}", taken)
                taken.add(wanted[value])
    for value in graph.initializers.values():
        if value not in wanted:  # a graph output, which RefuseRest reports
            wanted[value] = _free(f"{value.name}", taken)
            taken.add(wanted[value])
    constants = list(graph.initializers.values())
    # Out of the table first: an old name of one may be the new name of another.
    graph.initializers.clear()
    for value, name in wanted.items():
        value.name = name
    for value in constants:
        if value.const_value is not None:
            value.const_value.name = value.name
        graph.register_initializer(value)
