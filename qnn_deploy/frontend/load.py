"""What a user names on the command line -> a graph at L0 and the torch module that it must equal."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from qnn_deploy.errors import UserError
from qnn_deploy.frontend.input_spec import EXAMPLE, InputSpec, parse_input_spec
from qnn_deploy.frontend.prepend_input import prepend_input

if TYPE_CHECKING:
    from qnn_deploy.frontend.torch_export import Module

_FACTORY = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_][\w.]*)")
_KINDS = "a checkpoint (model.pt), a torch.export archive (.pt2) or package.module:factory"


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model in both its forms.

    Attributes:
        name: for people; from the file or factory.
        model: the graph at L0.
        module: the oracle: integer pixels [N, ...] of ``input.dtype`` -> float32 logits [N, classes], in ``eval()``.
        input: the input of both.
    """

    name: str
    model: ir.Model
    module: Module
    input: InputSpec


def load_model(spec: str, *, weights: str | Path | None = None, input_spec: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Load the model that ``spec`` names.

    Args:
        spec: a checkpoint of ours ``model.pt``; a torch.export archive ``model.pt2``; or ``package.module:factory``, a function without
            arguments (or a module object) in code of the user's own, which is imported and run.
        weights: a state_dict for ``package.module:factory``, read with ``weights_only=True``.
        trust_pickle: run what ``weights`` names, as a pickle does: a program of somebody who is trusted.
        input_spec: see `input_spec.parse_input_spec`; for modules that start from floats.

    Raises:
        UserError: QD0101, QD0102, QD0106: a file or argument is wrong. QD0308: the input description is missing or does not fit.
        CompileErrors: QD0301: torch cannot export the module.
    """
    described = parse_input_spec(input_spec) if input_spec is not None else None
    path = Path(spec)
    factory = _FACTORY.fullmatch(spec)
    if weights is not None and not (factory and not path.exists()):
        raise UserError("QD0106", "--weights belongs to package.module:factory; a file carries its own weights", where=spec)
    if path.suffix in (".pt", ".pth"):
        return _checkpoint(path, described)
    if path.suffix == ".pt2":
        return _archive(path, described)
    if factory and not path.exists():
        module = _factory(spec, factory["module"], factory["name"])
        if weights is not None:
            from qnn_deploy.frontend.torch_export import load_weights

            load_weights(module, Path(weights), trust_pickle)
        return _module(factory["name"].split(".")[-1], module, described)
    if path.is_file():
        raise UserError("QD0106", f"a file of an unknown kind: {path.suffix or 'no suffix'}", where=spec, help=f"a model is {_KINDS}")
    raise UserError("QD0101", "no such file", where=spec, help=f"a model is {_KINDS}")


def load_module(module: Module, input_spec: str | None = None, name: str = "model") -> LoadedModel:
    """Load a torch module that is in memory; the copy that is taken is in ``eval()`` and folded.

    Raises:
        UserError: QD0308: the input description is missing or does not fit.
        CompileErrors: QD0301: torch cannot export the module.
    """
    return _module(name, copy.deepcopy(module), parse_input_spec(input_spec) if input_spec is not None else None)


def _checkpoint(path: Path, described: InputSpec | None) -> LoadedModel:
    _need_torch()
    from qnn_deploy.nn.checkpoint import load

    module, info = load(path)
    return _module(path.stem if path.stem != "model" else info.architecture, module, described)


def _archive(path: Path, described: InputSpec | None) -> LoadedModel:
    _need_torch()
    from qnn_deploy.frontend import torch_export

    archive = torch_export.load_archive(path)
    if archive.dtype in ("uint8", "int8", "int16"):
        if described is not None and (described.shape, described.dtype) != (archive.shape, archive.dtype):
            raise UserError("QD0308", f"--input does not fit: the archive takes {archive.dtype} {list(archive.shape)}", where=str(path))
        if described is not None and (any(described.zero) or described.scale is not None):
            raise UserError("QD0308", "the model takes pixels itself; --input's zero and scale would come on top", where=str(path))
        given = InputSpec(archive.shape, archive.dtype, (0,) * archive.shape[0])
        return LoadedModel(path.stem, torch_export.to_onnx(archive.program, path.stem), archive.module, given)
    if described is None:
        raise _missing(f"the archive takes {archive.dtype} {list(archive.shape)}", str(path))
    if described.shape != archive.shape or archive.dtype != "float32":
        raise UserError("QD0308", f"--input does not fit: the archive takes {archive.dtype} {list(archive.shape)}", where=str(path))
    model = torch_export.to_onnx(archive.program, path.stem)
    prepend_input(model, described)
    return LoadedModel(path.stem, model, torch_export.with_input(archive.module, described), described)


def _factory(spec: str, module_name: str, name: str) -> Module:
    _need_torch()
    from qnn_deploy.frontend import torch_export

    here = str(Path.cwd())
    sys.path.insert(0, here)  # as `python -m` does
    try:
        target: Any = importlib.import_module(module_name)
        for part in name.split("."):
            target = getattr(target, part)
        module = target if torch_export.is_module(target) else target()
    except Exception as error:  # the user's own code
        help = "the factory takes no arguments and returns the module"
        raise UserError("QD0106", f"{type(error).__name__}: {error}", where=spec, help=help) from error
    finally:
        sys.path.remove(here)
    if not torch_export.is_module(module):
        raise UserError("QD0106", f"the factory returns {type(module).__name__}, not a torch.nn.Module", where=spec)
    return module


def _module(name: str, module: Module, described: InputSpec | None) -> LoadedModel:
    """A module that carries its input quantisation (ours), or is wrapped in the one described."""
    from qnn_deploy.frontend import torch_export

    torch_export.fold(module)
    own_zero = torch_export.input_zero(module)
    shape = getattr(module, "input_shape", None)
    if described is None:
        if shape is None:
            raise _missing(f"{type(module).__name__} does not say what input it takes", name)
        given = InputSpec(tuple(int(size) for size in shape), "uint8", own_zero or (0,) * int(shape[0]))
    elif own_zero is not None:
        if any(described.zero) or described.scale is not None:
            raise UserError("QD0308", "the model carries its own zero point (InputZero); --input's would come on top", where=name)
        if shape is not None and described.shape != tuple(shape):
            raise UserError("QD0308", f"--input does not fit: the model takes {list(shape)}", where=name)
        given = dataclasses.replace(described, zero=own_zero)
    else:
        model = torch_export.export(module, described.shape, "float32", name)
        prepend_input(model, described)
        return LoadedModel(name, model, torch_export.with_input(module, described), described)
    return LoadedModel(name, torch_export.export(module, given.shape, given.dtype, name), module, given)


def _missing(what: str, where: str) -> UserError:
    return UserError("QD0308", what, where=where, help=f"describe the pixels that it is fed with: --input {EXAMPLE}")


def _need_torch() -> None:
    try:
        import qnn_deploy.frontend.torch_export  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name in ("torch", "onnxscript"):
            help = "pip install qnn-deploy[torch]"
            raise UserError("QD0111", f"the package {error.name} is needed to read this model", help=help) from error
        raise
