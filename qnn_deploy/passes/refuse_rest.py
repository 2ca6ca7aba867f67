"""The end of the import: everything that is not canonical is reported, with the findings of all passes before, in one error."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.errors import CompileErrors, QnnDeployError
from qnn_deploy.ir.edit import DOMAIN, LAYER, SOURCE, in_graph_order, is_op, is_refused, refuse, shape_of
from qnn_deploy.ir.levels import BATCH, TABLES, Level, infer_types
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes._importing import findings_of

_HELP = "`qnn-deploy ops` lists what can be deployed"
_HELPS = {
    "Softmax": "return the logits, or `build --logits`; the largest of them is the largest of the probabilities too",
    "LogSoftmax": "return the logits, or `build --logits`; the largest of them is the largest of the probabilities too",
    "Where": "a sign is torch.where(x >= 0, 1.0, -1.0), with sign(0) = +1, or qnn_deploy.nn.functional.sign",
    "Greater": "a sign is torch.where(x >= 0, 1.0, -1.0), with sign(0) = +1, or qnn_deploy.nn.functional.sign",
    "Round": "a quantiser is torch.clamp(torch.round(x / scale), low, high), or qnn_deploy.nn.functional.quantize",
    "Mul": "only products with constants can be deployed",
    "Transpose": "keep maps in the order N, C, H, W",
    "Cast": "keep to float32",
}


class RefuseRest(LevelPass):
    """Raise every finding, or leave L1: the batch symbolic, types recorded by the operators' own shape rules."""

    reads = Level.L0
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        graph = model.graph
        findings = findings_of(model)
        self._refuse_illegal(graph, findings)
        self._refuse_float_networks(graph, findings)
        self._check_output(graph, findings)
        if findings:
            raise CompileErrors(in_graph_order(graph, findings))
        for node in graph:
            node.metadata_props.pop(LAYER, None)  # it is the node's name by now
        batch = graph.inputs[0].shape
        assert batch is not None
        graph.inputs[0].shape = ir.Shape([BATCH, *batch.dims[1:]])
        infer_types(model)
        return True

    def _refuse_illegal(self, graph: ir.Graph, findings: list[QnnDeployError]) -> None:
        """One finding per place in the source, whatever the number of operators that one line became."""
        places: dict[tuple[str, str], list[ir.Node]] = {}
        for node in graph:
            if not is_refused(node) and (node.domain, node.op_type) not in TABLES[Level.L1]:
                place = node.metadata_props.get(LAYER, ""), node.metadata_props.get(SOURCE, node.name or "")
                places.setdefault(place, []).append(node)
        for nodes in places.values():
            names = list(dict.fromkeys(f"{node.domain}::{node.op_type}".removeprefix("::") for node in nodes))
            if any(_is_dynamic(value) for node in nodes for value in (*node.inputs, *node.outputs)):
                message = f"{', '.join(names)}: the shape of a result depends on values"
                findings.append(refuse(nodes[0], "QD0302", message, "shapes must be the same for every input"))
                continue
            plural = "s" if len(names) > 1 else ""
            help = next((_HELPS[name] for name in names if name in _HELPS), _HELP)
            findings.append(refuse(nodes[0], "QD0301", f"the operator{plural} {', '.join(names)} cannot be lowered", help))

    def _refuse_float_networks(self, graph: ir.Graph, findings: list[QnnDeployError]) -> None:
        """Islands lie in something: a network with float weights throughout was never quantised."""
        islands = [node for node in graph if is_op(node, "FloatConv", "FloatDense", domain=DOMAIN)]
        if not islands or any(is_op(node, "Conv", "Gemm") for node in graph):
            return
        for node in islands:
            message = "the weights are not integers, nor a scale per output channel times integers, and no other layer's are"
            findings.append(refuse(node, "QD0307", message, "quantise it: qnn_deploy.nn.convert, or train one with quantised layers"))

    def _check_output(self, graph: ir.Graph, findings: list[QnnDeployError]) -> None:
        if len(graph.outputs) != 1:
            findings.append(QnnDeployError("QD0301", f"the model returns {len(graph.outputs)} tensors, not one of logits"))
            return
        output, batch = graph.outputs[0], shape_of(graph.inputs[0])
        shape = shape_of(output)
        producer = output.producer()
        if producer is None:
            findings.append(QnnDeployError("QD0301", "the model returns its input or a constant"))
        elif not findings and (shape is None or len(shape) not in (2, 3, 4) or batch is None or shape[0] != batch[0]):
            message = f"the model returns {list(shape) if shape else 'a dynamic shape'}, not [N, classes] or a map of them"
            findings.append(refuse(producer, "QD0301", message, "flatten the result, torch.flatten(x, 1)"))


def _is_dynamic(value: ir.Value | None) -> bool:
    """True where the exporter knows the rank of a value but not its sizes (of helpers inside one torch operator it records no shape)."""
    return value is not None and value.shape is not None and value.shape.is_dynamic()
