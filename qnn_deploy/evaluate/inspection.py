"""What a file holds, without running it."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

from qnn_deploy.emit import manifest as manifests
from qnn_deploy.emit.manifest import sha256
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import UserError, as_damage
from qnn_deploy.evaluate.subjects import read_bytes

SCHEMA_VERSION = 1


def inspect(name: str) -> dict[str, Any]:
    """The JSON of ``inspect`` for a build directory, a ``.qdm``, an ``.onnx`` or a checkpoint.

    Raises:
        UserError: QD0101, QD0102, QD0103 or QD0107 where it cannot be read or is damaged; QD0106 for another kind of file.
    """
    path = Path(name)
    if path.is_dir():
        return {"kind": "build", "file": name, **manifests.read(path)}
    content = read_bytes(path)
    digest = sha256(content)
    head = {"schema_version": SCHEMA_VERSION, "file": name, "bytes": len(content), "sha256": digest}
    if path.suffix == ".qdm":
        return {
            "kind": "packed model",
            **head,
            **manifests.describe(decode(content, where=name)),
            "proof": None,
            "model_id": digest[:12],
        }
    if path.suffix == ".onnx":
        return {"kind": "ONNX", **head, **_onnx(content, name)}
    if path.suffix == ".pt":
        return {"kind": "checkpoint", **head, **_checkpoint(path)}
    raise UserError("QD0106", f"cannot tell what {path.name} is", where=name, help="known: .qdm, .onnx, .pt, a build directory")


def _onnx(content: bytes, name: str) -> dict[str, Any]:
    import onnx

    with as_damage("QD0101", "not an ONNX file", where=name):
        return _describe_onnx(onnx.load_from_string(content), name)


def _describe_onnx(model: Any, name: str) -> dict[str, Any]:
    if not model.graph.node:
        raise UserError("QD0101", "not an ONNX file, or one without operators", where=name)
    ops = collections.Counter(f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in model.graph.node)
    return {
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "opset": {entry.domain or "onnx": entry.version for entry in model.opset_import},
        "inputs": {value.name: _shape(value) for value in model.graph.input},
        "outputs": {value.name: _shape(value) for value in model.graph.output},
        "functions": len(model.functions),
        "ops": dict(sorted(ops.items())),
    }


def _shape(value: Any) -> str:
    import onnx

    kind = value.type.tensor_type
    sides = ", ".join(dim.dim_param or str(dim.dim_value) for dim in kind.shape.dim)
    return f"{onnx.TensorProto.DataType.Name(kind.elem_type).lower()} [{sides}]"


def _checkpoint(path: Path) -> dict[str, Any]:
    try:
        from qnn_deploy.nn import checkpoint
    except ImportError as error:
        raise UserError("QD0111", "reading a checkpoint needs PyTorch", help='pip install "qnn-deploy[torch]"') from error
    module, info = checkpoint.load(path)
    return {
        "architecture": info.architecture,
        "arguments": dict(info.arguments),
        "meta": dict(info.meta),
        "contents_sha256": info.sha256,
        "parameters": sum(tensor.numel() for name, tensor in module.state_dict().items() if name.endswith("weight_int")),
    }
