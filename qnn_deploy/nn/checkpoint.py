"""Checkpoints: a trained, folded network in one file, ``model.pt``.

The file is ``torch.save`` of a plain dictionary, read with ``weights_only=True``: reading one never runs code from it.

| key | value |
|---|---|
| format, version | "qnn-deploy-checkpoint", 1 |
| architecture, arguments | a row of `architectures.ARCHITECTURES` and its keyword arguments, plain values |
| state | name -> tensor: folded weights in int8, everything else as the module holds it |
| meta | plain values for people: recipe, accuracy, commit |
| sha256 | digest of all the above |
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.errors import QnnDeployError, UserError
from qnn_deploy.files import write_whole
from qnn_deploy.nn.architectures import ARCHITECTURES
from qnn_deploy.nn.layers import QuantLayer, fold

FORMAT = "qnn-deploy-checkpoint"
VERSION = 1

_KEYS = {"format": str, "version": int, "architecture": str, "arguments": dict, "state": dict, "meta": dict, "sha256": str}


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about itself.

    Attributes:
        architecture, arguments: how the module was built.
        meta: what the trainer noted (plain values).
        sha256: digest of the contents, in hex.
    """

    architecture: str
    arguments: Mapping[str, Any]
    meta: Mapping[str, Any]
    sha256: str


def save(path: Path, model: nn.Module, architecture: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """Write ``model``, folded, to ``path`` and return the digest. ``model`` itself is not changed.

    The file appears whole or not at all, and the same contents give the same bytes.

    Raises:
        UserError: QD0105 where the file cannot be written, QD0106 for arguments or meta that are not plain values.
    """
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in fold(copy.deepcopy(model)).state_dict().items()}
    arguments, meta = _plain(arguments, "arguments"), _plain(meta, "meta")
    digest = _digest(architecture, arguments, state, meta)
    assert digest is not None
    contents = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": architecture,
        "arguments": arguments,
        "state": state,
        "meta": meta,
        "sha256": digest,
    }
    stream = io.BytesIO()  # given a path, torch would write its name into the file
    torch.save(contents, stream)
    write_whole(Path(path), stream.getvalue())
    return digest


def load(path: Path) -> tuple[nn.Module, CheckpointInfo]:
    """The network in ``path``, folded and in ``eval()``, and what the file says about it.

    Raises:
        UserError: QD0101 where there is no such file, QD0102 for a file that is damaged, altered, foreign or newer.
        QnnDeployError: QD0304 for a BatchNorm with NaN, Inf or a negative variance.
    """
    path = Path(path)
    contents = _read(path)

    def damaged(what: str, help: str = "") -> UserError:
        return UserError("QD0102", what, where=str(path), help=help)

    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise damaged("not a qnn-deploy checkpoint", "for a plain state_dict give the module too: `package.module:factory --weights FILE`")
    version = contents.get("version")
    if not isinstance(version, int) or version < 1:
        raise damaged(f"the format version is {version!r}")
    if version > VERSION:
        raise damaged(f"format version {version} is newer than this qnn-deploy reads ({VERSION})", "update qnn-deploy")
    for key, kind in _KEYS.items():
        if not isinstance(contents.get(key), kind):
            raise damaged(f"the entry {key!r} is missing or of the wrong type")
    state = contents["state"]
    if not all(isinstance(name, str) and _is_plain_tensor(tensor) for name, tensor in state.items()):
        raise damaged("the state holds something that is not a plain tensor")
    architecture, arguments, meta = contents["architecture"], contents["arguments"], contents["meta"]
    if architecture not in ARCHITECTURES:
        raise damaged(f"unknown architecture {architecture!r}", f"known: {', '.join(ARCHITECTURES)}")
    try:
        with torch.device("meta"):  # shapes first: nothing large is allocated for a file that does not fit
            model = ARCHITECTURES[architecture](**arguments)
    except Exception as error:  # whatever a constructor says to arguments from a damaged file
        raise damaged(f"the architecture {architecture!r} does not take these arguments: {error}") from error
    problem = _misfit(model, state)
    if problem is None and _digest(architecture, arguments, state, meta) != contents["sha256"]:
        problem = "the contents do not match their digest: the file was altered or damaged"
    if problem is None:
        problem = _bad_weights(model, state)
    if problem is not None:
        raise damaged(problem)
    model = ARCHITECTURES[architecture](**arguments)
    _check_batch_norms(model, state, path)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise damaged(f"{name} holds NaN or Inf")
    _install(model, state)
    return model.eval(), CheckpointInfo(architecture, arguments, meta, contents["sha256"])


def _is_plain_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized


def _read(path: Path) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError("QD0101", f"cannot read the checkpoint: {error.strerror}", where=str(path)) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses about foreign files
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises anything at all on damaged bytes
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError("QD0102", f"not a readable checkpoint: {reason}", where=str(path)) from error


def _misfit(model: nn.Module, state: dict[str, Tensor]) -> str | None:
    """Why ``state`` does not belong to ``model`` (built on the meta device); None where it does."""
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}
    for prefix, layer in model.named_modules():
        if isinstance(layer, QuantLayer):
            assert layer.weight is not None
            for name in [each for each in expected if each.startswith(f"{prefix}.quantizer.")]:
                del expected[name]
            shape, _ = expected.pop(f"{prefix}.weight")
            with torch.no_grad():
                _, scale = layer.quantizer.eval()(layer.weight)
            expected[f"{prefix}.weight_int"] = (shape, torch.int8)
            if scale is not None:
                expected[f"{prefix}.weight_scale"] = (tuple(scale.shape), torch.float32)
    missing = sorted(set(expected) - set(state))
    unknown = sorted(set(state) - set(expected))
    if missing or unknown:
        return f"missing {missing[0]}" if missing else f"unknown tensor {unknown[0]}"
    for name, tensor in state.items():
        shape, dtype = expected[name]
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            return f"{name} is {tensor.dtype} {list(tensor.shape)}, not {dtype} {list(shape)}"
    return None


def _bad_weights(model: nn.Module, state: dict[str, Tensor]) -> str | None:
    """The first folded weight that its quantiser cannot have made; None where all are well."""
    for prefix, layer in model.named_modules():
        if isinstance(layer, QuantLayer):
            weight = state[f"{prefix}.weight_int"]
            low, high = layer.quantizer.levels
            if layer.quantizer.bits == 1 and not bool((weight.abs() == 1).all()):
                return f"{prefix}.weight_int is binary but holds a value other than -1 and +1"
            if weight.numel() and (int(weight.min()) < low or int(weight.max()) > high):
                value = int(weight.min()) if int(weight.min()) < low else int(weight.max())
                return f"{prefix}.weight_int holds {value}; its weights lie in [{low}, {high}]"
    return None


def _check_batch_norms(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    for prefix, layer in model.named_modules():
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            continue
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensor = state.get(f"{prefix}.{name}")
            if tensor is not None and not bool(torch.isfinite(tensor).all()):
                raise QnnDeployError("QD0304", f"the BatchNorm's {name} holds NaN or Inf", where=f"{prefix} in {path}")
        variance = state.get(f"{prefix}.running_var")
        if variance is not None and bool((variance < 0).any()):
            raise QnnDeployError("QD0304", "the BatchNorm holds a negative variance", where=f"{prefix} in {path}")


def _install(model: nn.Module, state: dict[str, Tensor]) -> None:
    rest = dict(state)
    for prefix, layer in model.named_modules():
        if isinstance(layer, QuantLayer):
            layer.set_folded(rest.pop(f"{prefix}.weight_int"), rest.pop(f"{prefix}.weight_scale", None))
    model.load_state_dict(rest, strict=False)


def _plain(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """``values`` after a round trip through JSON (tuples become lists), so that they read back as they are."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError("QD0106", f"{what} of a checkpoint are plain values: {error}") from error
    return plain


def _digest(architecture: str, arguments: Any, state: Mapping[str, Tensor], meta: Any) -> str | None:
    """SHA-256 of the contents; None where arguments or meta are not plain values, which no file of ours has."""
    digest = hashlib.sha256()
    head = {"format": FORMAT, "version": VERSION, "architecture": architecture, "arguments": arguments, "meta": meta}
    try:
        digest.update(json.dumps(head, sort_keys=True).encode())
    except (TypeError, ValueError):
        return None
    for name in sorted(state):
        tensor = state[name].detach().contiguous()
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
