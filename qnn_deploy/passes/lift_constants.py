"""Constant nodes become initializers and CastLike becomes Cast, so that every later pass meets one form only."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import add_initializer, is_op, replace_node, replace_value
from qnn_deploy.passes._importing import ImportPass

_DTYPES = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


class LiftConstants(ImportPass):
    """1. Constant -> initializer.  2. CastLike a tensor of known type -> Cast."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if is_op(node, "CastLike"):
                x, like = node.inputs
                if x is not None and like is not None and like.dtype is not None:
                    cast = replace_node(node, "Cast", [x], {"to": int(like.dtype)})
                    cast.outputs[0].type = ir.TensorType(like.dtype)
                    changed = True
            if not is_op(node, "Constant"):
                continue
            ((name, attribute),) = node.attributes.items()
            if name == "value":
                array = attribute.as_tensor().numpy()
            elif name in _DTYPES:
                array = np.array(attribute.value, dtype=_DTYPES[name])
            else:
                continue  # strings: no operator that is lowered takes them
            output = node.outputs[0]
            base = output.name or "constant"
            output.name = None
            replace_value(output, add_initializer(model.graph, base, array))
            model.graph.remove(node, safe=True)
            changed = True
        return changed
