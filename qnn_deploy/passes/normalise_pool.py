"""Pools: MaxPool with every attribute written, sums over the map as SumPool, means over it as SumPool and Scale."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import (
    DOMAIN,
    FLOAT,
    add_initializer,
    attribute,
    constant,
    insert_after,
    is_op,
    is_refused,
    refuse,
    replace_node,
    shape_of,
    supersede,
)
from qnn_deploy.passes._importing import ImportPass, power_of_two
from qnn_deploy.passes.departures import depart

_MEANS = ("ReduceMean", "GlobalAveragePool", "AveragePool")


class NormalisePool(ImportPass):
    """1. MaxPool and ReduceMax over the map -> MaxPool.  2. ReduceSum over the map -> SumPool.

    3. A mean over n elements of the map -> SumPool and Scale(1 / n). torch divides, which is the same where n is a power of two; elsewhere
       a departure is noted. Other means are refused (QD0307).
    """

    def rewrite(self, model: ir.Model) -> bool:
        for node in list(model.graph):
            if is_refused(node):
                continue
            if is_op(node, "MaxPool"):
                self._max_pool(node)
            elif is_op(node, "ReduceSum", "ReduceMax", *_MEANS):
                self._over_map(model.graph, node)
        return True

    def _max_pool(self, node: ir.Node) -> None:
        x = node.inputs[0]
        shape = shape_of(x)
        kernel = attribute(node, "kernel_shape")
        if x is None or shape is None:
            return
        if len(shape) != 4 or attribute(node, "auto_pad", "NOTSET") != "NOTSET" or any(output.uses() for output in node.outputs[1:]):
            self.fail(refuse(node, "QD0301", "only 2-D max-pools with explicit padding, without indices, can be deployed"))
            return
        attributes = {
            "kernel_shape": tuple(kernel),
            "strides": tuple(attribute(node, "strides", (1, 1))),
            "pads": _whole_windows(node, shape),
            "dilations": tuple(attribute(node, "dilations", (1, 1))),
            "ceil_mode": 0,
        }
        if any(each != 1 for each in attribute(node, "dilations", (1, 1))):
            self.fail(refuse(node, "QD0301", "a dilated max-pool has no kernel", "use a larger kernel or a stride"))
            return
        replace_node(node, "MaxPool", [x], attributes)

    def _over_map(self, graph: ir.Graph, node: ir.Node) -> None:
        x, before, after = node.inputs[0], shape_of(node.inputs[0]), shape_of(node.outputs[0])
        if x is None or before is None or after is None or constant(x) is not None:
            return
        if not _covers_map(node, before):
            if node.op_type == "AveragePool" and len(before) == 4 and self._windows(graph, node, before):
                return
            if node.op_type in _MEANS:
                self.fail(refuse(node, "QD0307", f"{node.op_type} {_unlike(node) or 'averages floats'}", _MEAN_HELP))
            else:
                self.fail(refuse(node, "QD0301", f"{node.op_type} over other axes than height and width"))
            return
        count = before[2] * before[3]
        if node.op_type == "ReduceMax":
            attributes = {"kernel_shape": before[2:], "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "ceil_mode": 0}
            last = insert_after(node, "MaxPool", [x], attributes, shape=(*before[:2], 1, 1))
            if len(after) == 2:
                last = insert_after(last, "Flatten", [last.outputs[0]], {"axis": 1}, shape=after)
            supersede(node, last)
            return
        if node.op_type in _MEANS and not power_of_two(count):
            what = f"torch divides a mean over {before[2]} x {before[3]} elements by {count}, the artefacts multiply the sum by 1 / {count}"
            depart(graph, node, what, f"sum, x.sum((2, 3)), and let what follows take the factor 1 / {count}")
        last = insert_after(node, "SumPool", [x], {"to": FLOAT}, domain=DOMAIN, shape=before[:2])
        if node.op_type in _MEANS:
            factor = add_initializer(graph, f"{node.outputs[0].name}_factor", np.array([1 / count], np.float32))
            last = insert_after(last, "Scale", [last.outputs[0], factor], {}, domain=DOMAIN)
        if len(after) == 4:
            axes = add_initializer(graph, f"{node.outputs[0].name}_axes", np.array([2, 3], np.int64))
            last = insert_after(last, "Unsqueeze", [last.outputs[0], axes], {}, shape=after)
        supersede(node, last)

    def _windows(self, graph: ir.Graph, node: ir.Node, shape: tuple[int, ...]) -> bool:
        """A mean over windows of 2^k elements as a depthwise convolution by ones and a Scale; False where it is none."""
        kernel, pads = tuple(attribute(node, "kernel_shape")), tuple(attribute(node, "pads", (0, 0, 0, 0)))
        count = math.prod(kernel)
        if _unlike(node) or not power_of_two(count):
            return False
        name, x = node.outputs[0].name, node.inputs[0]
        ones = add_initializer(graph, f"{name}_ones", np.ones((shape[1], 1, *kernel), np.float32))
        window = {"kernel_shape": kernel, "strides": tuple(attribute(node, "strides", (1, 1))), "pads": pads, "dilations": (1, 1)}
        sums = insert_after(node, "Conv", [x, ones], {**window, "group": shape[1]})
        factor = add_initializer(graph, f"{name}_factor", np.array([1 / count], np.float32))
        supersede(node, insert_after(sums, "Scale", [sums.outputs[0], factor], {}, domain=DOMAIN))
        return True


def _whole_windows(node: ir.Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Pads of a max-pool (top, left, bottom, right), so wide at the end that the last window of a ceil-mode pool is a whole one."""
    pads, kernel, strides = (tuple(attribute(node, name, d)) for name, d in (("pads", (0,) * 4), ("kernel_shape", ()), ("strides", (1, 1))))
    after = shape_of(node.outputs[0])
    if not attribute(node, "ceil_mode", 0) or after is None:
        return pads
    reach = [(after[2 + i] - 1) * strides[i] + kernel[i] - shape[2 + i] - pads[i] for i in range(2)]
    return (*pads[:2], *(max(pad, need) for pad, need in zip(pads[2:], reach, strict=True)))


_MEAN_HELP = (
    "quantise first, then sum the integers: qnn_deploy.nn.layers.GlobalSumPool2d (x.sum((2, 3))), or SumPool2d "
    "for windows; the next layer absorbs the division"
)


def _unlike(node: ir.Node) -> str:
    """Which attribute of an average pool has it divide, or step, in another way than sums over equal windows; nothing where none does."""
    if node.op_type != "AveragePool":
        return ""
    if any(each != 1 for each in attribute(node, "dilations", (1, 1))):
        return "with dilation has no kernel"
    if attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        return "pads as its input's size asks for (auto_pad)"
    if attribute(node, "ceil_mode", 0):
        return "divides its last windows by less than the others (ceil_mode=True)"
    if any(attribute(node, "pads", (0, 0, 0, 0))) and not attribute(node, "count_include_pad", 0):
        return "divides windows at the border by less than the others (count_include_pad=False)"
    return ""


def _covers_map(node: ir.Node, shape: tuple[int, ...]) -> bool:
    """True where ``node`` reduces all of height and width of [N, C, H, W] and nothing else."""
    if len(shape) != 4:
        return False
    if node.op_type == "GlobalAveragePool":
        return True
    if node.op_type == "AveragePool":
        pads = attribute(node, "pads", (0, 0, 0, 0))
        return (
            tuple(attribute(node, "kernel_shape")) == shape[2:]
            and not any(pads)
            and math.prod(shape_of(node.outputs[0]) or ()) == (shape[0] * shape[1])
        )
    axes = constant(node.inputs[1]) if len(node.inputs) > 1 else attribute(node, "axes")
    return axes is not None and sorted(int(axis) % 4 for axis in np.ravel(axes)) == [2, 3]
