"""Where an artefact first leaves the exact graph: layer, channel, accumulator, threshold. One image, every layer, element by element."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.evaluate import reference
from qnn_deploy.evaluate.backends import call_qd_run, onnx_session
from qnn_deploy.files import scratch
from qnn_deploy.ir.levels import spec_of
from qnn_deploy.ir.program import NUMPY_DTYPE, Buffer, DType
from qnn_deploy.plan.groups import VIEWS, Group, group
from qnn_deploy.toolchain.runner import Runner

Diagnose = Callable[[NDArray[Any]], str]
Values = Mapping[str, NDArray[Any]]
_SAME = "every layer agrees on this image when it is run alone"


def computed_groups(graph: ir.Graph) -> list[Group]:
    """The groups of L2 nodes in the order of the program's operators (views and a last cast compute nothing)."""

    def computes(item: Group) -> bool:
        lone_cast = len(item.nodes) == 1 and item.head.op_type == "Cast" and item.head.outputs[0].is_graph_output()
        return item.head.op_type not in VIEWS and not lone_cast

    return [item for item in group(graph) if computes(item)]


def unpack(buffer: Buffer, content: bytes) -> NDArray[Any]:
    """A dumped buffer as [C, H, W]; bits become +1 and -1, ternary digits -1, 0 and +1 (int8)."""
    shape = (buffer.height, buffer.width, buffer.channels)
    if buffer.dtype not in (DType.BITS, DType.TRITS):
        return np.frombuffer(content, NUMPY_DTYPE[buffer.dtype]).reshape(shape).transpose(2, 0, 1)
    planes = 2 if buffer.dtype == DType.TRITS else 1
    pixels = np.frombuffer(content, np.uint8).reshape(buffer.height, buffer.width, -1, planes).transpose(3, 2, 0, 1)
    bits = np.unpackbits(pixels, axis=1, bitorder="little")[:, : buffer.channels].astype(np.int8)
    signs = 1 - 2 * bits[0]
    return signs if planes == 1 else signs * bits[1]


def different(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Elements that are not the same bits (NaNs of one bit pattern are equal, zeros of two signs are not)."""
    if a.dtype == np.float32 and b.dtype == np.float32:
        return np.ascontiguousarray(a).view(np.uint32) != np.ascontiguousarray(b).view(np.uint32)
    return np.asarray(a.astype(np.float64) != b.astype(np.float64))


def describe(name: str, found: NDArray[Any], expected: NDArray[Any], item: Group | None = None, values: Values | None = None) -> str:
    """The first differing element of a layer, [C, ...] or [1, C, ...] arrays, for people."""
    wrong = different(found, expected)
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    text = f"layer {name}, {int(wrong.sum())} of {wrong.size} values; first: channel {at[0]}"
    if len(at) > 1:
        text += f" at {list(at[1:])}"
    if item is not None and values is not None and item.tail.op_type == "Threshold":
        accumulator = values[item.head.outputs[0].name or ""].reshape(expected.shape)[at]
        thresholds = item.tail.inputs[1]
        assert thresholds is not None and thresholds.const_value is not None
        text += f", accumulator {int(accumulator)}, threshold {int(thresholds.const_value.numpy().reshape(-1)[at[0]])}"
    return f"{text}: {found[at]!s} instead of {expected[at]!s}"


@dataclasses.dataclass(frozen=True)
class Subject:
    """A packed model on a runner with a kernel family, beside the exact graph (L2) that it was made from."""

    runner: Runner
    program: Path
    content: bytes
    kernels: str
    model: ir.Model

    def layers(self, image: NDArray[Any]) -> Iterator[tuple[Group, str, NDArray[Any], NDArray[Any], Values]]:
        """For each operator: its group, name, the runtime's output, the reference's (both [C, H, W]), and all the reference's values.

        Nothing comes of operators that are not layers of the graph.
        """
        planned = decode(self.content)
        # Operators that are part of a layer have names of their own.
        groups = {item.head.name: item for item in computed_groups(self.model.graph)}
        values = reference.run(self.model, image, keep=True)
        with scratch() as folder:
            call_qd_run(self.runner, self.program, self.content, image, self.kernels, folder, dump=True)
            for index, op in enumerate(planned.ops):
                item = groups.get(op.name)
                if item is None:
                    continue
                buffer = planned.buffers[op.output]
                found = unpack(buffer, (folder / "dump" / f"{index:03d}.bin").read_bytes())
                last = item.tail
                if len(item.nodes) == 2 and last.op_type == "Cast" and last.outputs[0].is_graph_output():
                    # The runtime gives the integers that the graph casts.
                    last = item.head
                yield item, op.name, found, values[last.outputs[0].name or ""].reshape(found.shape), values

    def diagnose(self, image: NDArray[Any]) -> str:
        """The first operator whose output differs on ``image`` [1, C, H, W]."""
        compared = False
        for item, name, found, expected, values in self.layers(image):
            compared = True
            if different(found, expected).any():
                return describe(name, found, expected, item, values)
        return _SAME if compared else "the packed model's operators are not those of the trained model"

    def count(self, image: NDArray[Any]) -> list[dict[str, Any]]:
        """Per operator the elements that differ on ``image`` [1, C, H, W]."""
        rows = []
        for item, name, found, expected, _ in self.layers(image):
            wrong = int(different(found, expected).sum())
            row = {"runner": self.runner.name, "kernels": self.kernels, "layer": name, "op": item.tail.op_type}
            rows.append({**row, "elements": found.size, "differing": wrong})
        return rows


def diagnose_onnx(content: bytes, model: ir.Model) -> Diagnose:
    """Compare every value of the ONNX artefact with the reference's, by giving each as a graph output."""

    def diagnose(image: NDArray[Any]) -> str:
        import onnx

        proto = onnx.load_from_string(content)
        names = [node.output[0] for node in proto.graph.node]
        known = {output.name for output in proto.graph.output}
        proto.graph.output.extend(info for info in proto.graph.value_info if info.name in set(names) - known)
        session = onnx_session(proto.SerializeToString())
        wanted = [output.name for output in session.get_outputs()]
        samples = reference.in_shape(image, session.get_inputs()[0].shape[1:])
        found = dict(zip(wanted, session.run(wanted, {session.get_inputs()[0].name: samples}), strict=True))
        expected = reference.run(model, image, keep=True)
        for node, original in zip(proto.graph.node, model.graph, strict=False):
            name, reference_name = node.output[0], original.outputs[0].name or ""
            if name in found and different(found[name], expected[reference_name]).any():
                return describe(node.name or name, found[name][0], expected[reference_name][0])
        return _SAME

    return diagnose


def diagnose_reference(module: Any, model: ir.Model) -> Diagnose:
    """Compare the reference's values with what PyTorch's layers of the same names give."""

    def diagnose(image: NDArray[Any]) -> str:
        from qnn_deploy.nn.truth import activations

        trained = activations(module, reference.in_shape(image, spec_of(model.graph.inputs[0]).shape[1:]))
        values = reference.run(model, image, keep=True)
        for node in model.graph:
            layer, value = trained.get(node.name or ""), values[node.outputs[0].name or ""]
            # A fused layer (a threshold) bears the name of the activation that it ends in.
            if layer is not None and layer.shape == value.shape and different(value, layer).any():
                return describe(node.name or "", value[0], layer[0])
        return "in the last layer"

    return diagnose
