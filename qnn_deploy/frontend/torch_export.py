"""nn.Module -> torch.export -> torch.onnx -> onnx_ir.Model at L0. The only file of the front-end that imports torch.

The quantisers of `qnn_deploy.nn` stay opaque: each becomes one node of domain ``qnn_deploy`` (``sign``, ``quantize``), which the
canonicalising passes read.
Nothing is optimised here (``optimize=False``): torch.onnx's optimiser folds sums over floats and BatchNorm into weights.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import logging
import pickle
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx.defs
import onnx_ir as ir
import torch
from onnxscript import values
from torch import Tensor, nn

import qnn_deploy.nn.functional  # noqa: F401, registers the operators of namespace qnn_deploy
from qnn_deploy.errors import CompileErrors, QnnDeployError, UserError
from qnn_deploy.frontend.archive import read_archive
from qnn_deploy.frontend.input_spec import InputSpec
from qnn_deploy.frontend.torch_constants import fold_parameters
from qnn_deploy.ir.edit import LAYER, SOURCE
from qnn_deploy.nn import layers
from qnn_deploy.nn.layers import InputZero
from qnn_deploy.nn.pixels import PixelInput, ProgramModule

OPSET = 20
Module = nn.Module
# With a batch of 1, torch.export cannot tell the batch from a dimension of size 1 (``x.squeeze()`` would drop it). 2 shows such code up.
BATCH = 2

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')
_FOREIGN = re.compile(r"/torch/|/onnxscript/|/qnn_deploy/frontend/|^<")
_LIBRARY = re.compile(r"/qnn_deploy/nn/(?!architectures/)[\w/]+\.py$")
_Schema = onnx.defs.OpSchema


def _marker(name: str, inputs: Sequence[str], attributes: Sequence[str] = ()) -> values.Op:
    """An operator of domain qnn_deploy that torch.onnx writes as one node, without looking inside."""
    schema = _Schema(
        name,
        "qnn_deploy",
        1,
        inputs=[_Schema.FormalParameter(each, "T") for each in inputs],
        outputs=[_Schema.FormalParameter("y", "T")],
        type_constraints=[("T", ["tensor(float)"], "")],
        attributes=[_Schema.Attribute(each, _Schema.AttrType.INT) for each in attributes],
    )
    return values.Op(values.Opset("qnn_deploy", 1), name, schema)


_SIGN = _marker("sign", ["x"])
_QUANTIZE = _marker("quantize", ["x", "scale"], ["low", "high"])


def _translate_sign(x: Any) -> Any:
    return _SIGN(x)


def _translate_quantize(x: Any, scale: Any, low: int, high: int) -> Any:
    return _QUANTIZE(x, scale, low=low, high=high)


_TRANSLATIONS: dict[Any, Any] = {
    torch.ops.qnn_deploy.sign.default: _translate_sign,
    torch.ops.qnn_deploy.quantize.default: _translate_quantize,
}


@dataclasses.dataclass(frozen=True)
class Archive:
    """A torch.export archive.

    Attributes:
        module: the program as a module that takes any number of samples.
        program: the same with a static batch.
        shape, dtype: of one sample of its input.
    """

    module: Module
    program: torch.export.ExportedProgram
    shape: tuple[int, ...]
    dtype: str


def is_module(value: object) -> bool:
    """True for a torch module."""
    return isinstance(value, nn.Module)


def fold(module: nn.Module) -> None:
    """Put ``module`` into ``eval()`` with its latent weights replaced by their integers, which changes no bit of its logits."""
    layers.fold(module)


def input_zero(module: nn.Module) -> tuple[int, ...] | None:
    """The zero points of a module that takes pixels itself (it has an `InputZero`); None for any other."""
    for layer in module.modules():
        if isinstance(layer, InputZero):
            return tuple(int(zero) for zero in layer.zero.reshape(-1))
    return None


def with_input(module: nn.Module, spec: InputSpec) -> nn.Module:
    """``module`` behind the integer input ``spec``."""
    return PixelInput(module, spec.zero, spec.scale, 1 + len(spec.shape))


_TRUST = "torch.save(model.state_dict(), path) writes tensors only; --trust-pickle runs the file: only where you trust its author"


def load_weights(module: nn.Module, path: Path, trust_pickle: bool = False) -> None:
    """Load a state_dict (or a dictionary with one under "state_dict" or "model") into ``module``.

    Code from the file is never run, unless ``trust_pickle``: then everything that it names is.

    Raises:
        UserError: QD0101 where the file cannot be read, QD0102 where it is damaged or belongs to another module.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError("QD0101", f"cannot read the weights: {error.strerror}", where=str(path)) from error
    try:
        with _quiet():
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=not trust_pickle)
    except Exception as error:  # torch.load raises anything at all on damaged bytes
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError) and "unsupported" in str(error).lower():
            reason, help = "the file names more than tensors, a program in the form of a pickle", _TRUST
            raise UserError("QD0102", reason, where=str(path), help=help) from error
        raise UserError("QD0102", f"not a readable state_dict: {reason}", where=str(path)) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise UserError("QD0102", "not a state_dict", where=str(path), help="torch.save(model.state_dict(), path) writes one")
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise UserError("QD0102", f"the weights belong to another module: {' '.join(str(error).split())}", where=str(path)) from error


def load_archive(path: Path) -> Archive:
    """Read a .pt2 archive that passed `archive.read_archive`.

    Raises:
        UserError: QD0101, QD0102; QD0302 where a size other than the batch is dynamic; QD0308 for other than one input.
    """
    data, examples = read_archive(path)
    try:
        with _quiet():
            # torch.export.load falls back to unpickling anything where this fails.
            torch.load(io.BytesIO(examples), weights_only=True)
            program = torch.export.load(io.BytesIO(data))
            module = program.module(check_guards=False)  # guards are Python source from the file
    except Exception as error:  # torch's reader raises anything at all
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError("QD0102", f"torch cannot read the archive: {reason}", where=str(path)) from error
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise UserError("QD0308", f"the archive takes {len(names)} inputs, not one", where=str(path))
    example = next(node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name == names[0])
    if not isinstance(example, Tensor) or example.dim() not in (2, 3, 4):
        raise UserError("QD0308", "the archive's input is not a tensor [N, C, H, W], [N, C, L] or [N, features]", where=str(path))
    batch, *shape = example.shape
    if not all(isinstance(size, int) for size in shape):
        help = "only the batch may be dynamic"
        raise UserError("QD0302", f"the archive's input {list(example.shape)} is dynamic", where=str(path), help=help)
    dtype = str(example.dtype).removeprefix("torch.")
    if isinstance(batch, int):
        return Archive(ProgramModule(module, batch), program, tuple(shape), dtype)
    return Archive(ProgramModule(module, None), _trace(module, shape, dtype), tuple(shape), dtype)


def export(module: nn.Module, shape: Sequence[int], dtype: str, name: str) -> ir.Model:
    """The L0 graph of ``module`` in its present mode (``eval()`` it first), with `BATCH` samples and static shapes throughout.

    Args:
        shape: of one sample, [C, H, W] or [C].
        dtype: torch's name of the input's dtype, "uint8".
        name: of the graph.

    Raises:
        CompileErrors: QD0301 where torch.export cannot trace the module or torch.onnx does not know an operator.
    """
    return to_onnx(_trace(module, shape, dtype), name)


def _trace(module: nn.Module, shape: Sequence[int], dtype: str) -> torch.export.ExportedProgram:
    example = torch.zeros((BATCH, *shape), dtype=getattr(torch, dtype))
    with _quiet(), torch.no_grad():
        try:
            return torch.export.export(module, (example,), strict=False)
        except Exception as error:  # torch.export raises errors of many kinds, the user's own included
            raise CompileErrors([_untraceable(error)]) from error


def to_onnx(program: torch.export.ExportedProgram, name: str) -> ir.Model:
    """The L0 graph of an exported program, named ``name``; what it computes from parameters alone is folded in it first.

    Raises:
        CompileErrors: QD0301 where torch.onnx does not know an operator.
    """
    try:
        with _quiet(), torch.no_grad():
            fold_parameters(program)
            exported = torch.onnx.export(
                program, dynamo=True, optimize=False, verbose=False, opset_version=OPSET, custom_translation_table=_TRANSLATIONS
            )
    except Exception as error:  # the exporter's error classes are private
        raise CompileErrors([_untranslatable(error, program)]) from error
    assert exported is not None
    model = exported.model
    model.graph.name = name
    for node in model.graph:
        _note_provenance(node)
    _detach_from_torch(model.graph)
    return model


def _detach_from_torch(graph: ir.Graph) -> None:
    """Give every initializer its own numpy memory: no pass may see a tensor that torch can still change."""
    for value in graph.initializers.values():
        assert value.const_value is not None and value.name is not None
        value.const_value = ir.tensor(value.const_value.numpy().copy(), name=value.name)


def _note_provenance(node: ir.Node) -> None:
    """Module path and source line from the exporter's metadata, in our own keys; the rest of the metadata goes."""
    scopes = node.metadata_props.get("pkg.torch.onnx.name_scopes", "")
    trace = node.metadata_props.get("pkg.torch.onnx.stack_trace", "")
    node.metadata_props.clear()
    with contextlib.suppress(ValueError, SyntaxError):
        path = [scope for scope in ast.literal_eval(scopes)[:-1] if scope]
        if path:
            node.metadata_props[LAYER] = path[-1]
    line = source_line(trace)
    if line:
        node.metadata_props[SOURCE] = line


def source_line(trace: str) -> str:
    """The innermost frame of a stack trace that is the user's, not torch's, as "model.py:88 in forward"; "" where there is none."""
    frames = [match.groupdict() for match in _FRAME.finditer(trace)]
    own = [frame for frame in frames if not _FOREIGN.search(frame["file"].replace("\\", "/"))]
    if not own:
        return ""
    # The line that says most is where the network is put together, not inside our layers.
    users = [frame for frame in own if not _LIBRARY.search(frame["file"].replace("\\", "/"))]
    frame = (users or own)[-1]
    return f"{Path(frame['file']).name}:{frame['line']} in {frame['function']}"


def _untraceable(error: Exception) -> QnnDeployError:
    text = str(error)
    message = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    help = "torch.export.export(model.eval(), (example,)) gives torch's own report"
    if "data-dependent" in message:
        help = "a deployable forward() has no branch or loop that depends on the values of tensors"
    where = source_line(text) or _innermost(error)
    return QnnDeployError("QD0301", f"torch.export cannot trace the model: {message}", where=where, help=help)


def _untranslatable(error: Exception, program: torch.export.ExportedProgram) -> QnnDeployError:
    """Name the operator that torch.onnx has no translation for, with its line; where none is to blame, what the exporter says."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    if "DispatchError" not in {type(each).__name__ for each in causes}:  # too little memory, for one
        reason = str(causes[-1]).strip().split("\n")[0] or type(causes[-1]).__name__
        return QnnDeployError("QD0301", f"torch.onnx cannot translate the model: {reason}", help="torch.onnx.export gives its own report")
    found = re.search(r"target=([\w.]+)\]", "\n".join(map(str, causes)))
    target = found.group(1).removeprefix("torch.ops.") if found else "an operator"
    where = next(
        (source_line(node.stack_trace or "") for node in program.graph.nodes if node.op == "call_function" and str(node.target) in target),
        "",
    )
    return QnnDeployError("QD0301", f"{target} has no ONNX form", where=where, help="`qnn-deploy ops` lists what can be deployed")


def _innermost(error: BaseException) -> str:
    """The innermost frame of a traceback outside torch and this package's front-end."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f'File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}')
        trace = trace.tb_next
    return source_line("\n".join(frames))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings, prints and log lines off the user's terminal."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
