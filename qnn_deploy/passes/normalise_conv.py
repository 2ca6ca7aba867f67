"""Convolutions: integer weights, every attribute written, no bias inside. Zero padding in front of a convolution goes into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import DOMAIN, add_initializer, attribute, constant, insert_after, is_op, refuse, replace_node, shape_of
from qnn_deploy.passes._importing import ImportPass, constant_bias, island_weights, put_reduction


class NormaliseConv(ImportPass):
    """Conv(x, s * W, b) -> Conv(x, W), Scale(s) and Bias(b); W integers (QD0305), else -> FloatConv and Bias, a float island."""

    def rewrite(self, model: ir.Model) -> bool:
        convolutions = [node for node in model.graph if is_op(node, "Conv")]
        for node in convolutions:
            self._normalise(model.graph, node)
        return bool(convolutions)

    def _normalise(self, graph: ir.Graph, node: ir.Node) -> None:
        x, source = node.inputs[0], node.inputs[1]
        assert x is not None and source is not None
        weights = island_weights(node, source)
        if isinstance(weights, QnnDeployError):
            self.fail(weights)
            return
        bias = constant_bias(node, node.inputs[2] if len(node.inputs) > 2 else None)
        if isinstance(bias, QnnDeployError):
            self.fail(bias)
            return
        if weights.integers.ndim != 4:
            self.fail(refuse(node, "QD0301", f"a {weights.integers.ndim - 2}-D convolution; only 2-D ones can be deployed"))
            return
        attributes = _attributes(node, weights.integers.shape)
        if attributes is None:
            self.fail(refuse(node, "QD0302", "the padding depends on a dynamic shape"))
            return
        pad = x.producer()
        if pad is not None and is_op(pad, "Pad"):
            found = _margins(pad, weights.integers.ndim - 2)
            if found is None:
                help = "pad height and width with 0 (of a map of +1/-1, a third value that adds nothing to the sum) or with +1 or -1"
                self.fail(refuse(pad, "QD0301", "padding in front of a convolution that is no constant integer, or of other axes", help))
                return
            margins, fill = found
            source_map = pad.inputs[0]
            assert source_map is not None
            if fill == 0:
                attributes["pads"] = tuple(a + b for a, b in zip(attributes["pads"], margins, strict=True))
                x = source_map
            else:
                x = replace_node(pad, "Pad", [source_map], {"pads": margins, "value": fill}, domain=DOMAIN).outputs[0]
        value = source
        if source.dtype != ir.DataType.FLOAT or weights.scale is not None:
            value = add_initializer(graph, f"{source.name}_integers", weights.integers)
        if weights.island:
            del attributes["kernel_shape"]
            reduction = insert_after(node, "FloatConv", [x, value], attributes, domain=DOMAIN)
        else:
            reduction = insert_after(node, "Conv", [x, value], attributes)
        put_reduction(graph, node, reduction, weights, bias)


def _attributes(node: ir.Node, shape: tuple[int, ...]) -> dict[str, Any] | None:
    strides = tuple(attribute(node, "strides", (1, 1)))
    dilations = tuple(attribute(node, "dilations", (1, 1)))
    pads = tuple(attribute(node, "pads", (0, 0, 0, 0)))
    automatic = attribute(node, "auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        size = shape_of(node.inputs[0])
        if size is None:
            return None
        # As many outputs as ceil(size / stride); of an odd total, SAME_UPPER puts the extra row behind.
        total = [
            max(0, (-(-size[2 + i] // strides[i]) - 1) * strides[i] + dilations[i] * (shape[2 + i] - 1) + 1 - size[2 + i]) for i in range(2)
        ]
        small, large = [each // 2 for each in total], [each - each // 2 for each in total]
        pads = (*small, *large) if automatic == "SAME_UPPER" else (*large, *small)
    elif automatic == "VALID":
        pads = (0, 0, 0, 0)
    return {
        "kernel_shape": tuple(shape[2:]),
        "strides": strides,
        "pads": pads,
        "dilations": dilations,
        "group": int(attribute(node, "group", 1)),
    }


def _margins(pad: ir.Node, axes: int) -> tuple[tuple[int, ...], int] | None:
    """((top, left, bottom, right), value) of a Pad of the last ``axes`` axes with one integer; None for any other Pad."""
    if attribute(pad, "mode", "constant") != "constant" or (len(pad.inputs) > 3 and pad.inputs[3] is not None):
        return None
    amounts = constant(pad.inputs[1])
    value = constant(pad.inputs[2]) if len(pad.inputs) > 2 and pad.inputs[2] is not None else np.zeros(1)
    if amounts is None or value is None or amounts.shape != (2 * (axes + 2),) or (amounts < 0).any():
        return None
    fill = float(np.ravel(value)[0])
    before, behind = amounts[: axes + 2], amounts[axes + 2 :]
    if before[:2].any() or behind[:2].any() or fill != np.rint(fill):
        return None
    return tuple(int(each) for each in (*before[2:], *behind[2:])), int(fill)
