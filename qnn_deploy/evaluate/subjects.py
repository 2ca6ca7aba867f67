"""What a command line names: a trained model, a build directory or a packed file, opened once and turned into backends."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy import data as datasets
from qnn_deploy.emit import manifest as manifests
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import QnnDeployError, ToolchainError, UserError, as_damage
from qnn_deploy.evaluate.backends import Backend, Predict, as_float, predict_onnx, predict_qdm
from qnn_deploy.evaluate.reference import in_shape
from qnn_deploy.ir.levels import spec_of
from qnn_deploy.ir.program import NUMPY_DTYPE, Opcode, Program
from qnn_deploy.targets import Target, find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import Runner, find_runner

if TYPE_CHECKING:
    from qnn_deploy.frontend import LoadedModel
    from qnn_deploy.passes.pipeline import Lowered

_DEFAULT_DATA = {(1, 8, 8): "digits", (3, 32, 32): "cifar10"}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model and its exact graph."""

    loaded: LoadedModel
    lowered: Lowered
    oracle: Predict


@dataclasses.dataclass(frozen=True)
class Packed:
    """A ``.qdm``, where it came from, and the build directory around it (or None).

    Attributes:
        programs: folder of the build's executables by target name.
    """

    content: bytes
    program: Program
    where: str
    programs: dict[str, Path]
    manifest: dict[str, Any] | None

    @property
    def input(self) -> tuple[tuple[int, int, int], str]:
        """Input shape [C, H, W] and dtype."""
        buffer = self.program.buffers[self.program.input]
        return (buffer.channels, buffer.height, buffer.width), np.dtype(NUMPY_DTYPE[buffer.dtype]).name

    @property
    def classes(self) -> bool:
        """True where it gives classes instead of logits."""
        return self.program.ops[-1].opcode == Opcode.ARG_MAX


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Anything that can be evaluated: a function of images [N, *shape] of ``dtype``.

    Attributes:
        classes: it gives classes, as a network does that ends in an argmax, not logits.
    """

    predict: Predict
    shape: tuple[int, int, int]
    dtype: str
    classes: bool

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a stranger's ``images``.

        Raises:
            UserError: QD0104 where they do not fit.
        """
        check_input(images, self.shape, self.dtype, "the input")
        return self.predict(images)


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        UserError: QD0101.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError("QD0101", f"cannot read: {error.strerror}", where=str(path)) from error


def open_trained(
    spec: str,
    *,
    weights: str | None = None,
    input_spec: str | None = None,
    trust_pickle: bool = False,
    calibration: Mapping[str, Any] | None = None,
    logits: bool = False,
) -> Trained:
    """Load and lower ``spec``, with the scales of a build's ``calibration`` where it had one, and ``logits`` as it was built.

    Raises:
        UserError: QD0107 where ``calibration`` is none, and as `frontend.load_model` and `lower`.
    """
    from qnn_deploy.frontend import load_model
    from qnn_deploy.passes.pipeline import lower
    from qnn_deploy.passes.quantise_activations import earlier

    with as_damage("QD0107", "the manifest's calibration is damaged", where=spec, help="build again"):
        known = None if calibration is None else earlier(calibration)
    loaded = load_model(spec, weights=weights, input_spec=input_spec, trust_pickle=trust_pickle)
    return Trained(loaded, lower(loaded.model, calibration=known, logits=logits), oracle_of(loaded))


def source_of(folder: Path, manifest: dict[str, Any] | None, against: str | None = None) -> tuple[str, dict[str, Any]]:
    """What `open_trained` takes for the model that the build in ``folder`` was made from, or for ``against``.

    Raises:
        UserError: QD0106 where nothing says what it was, QD0101 or QD0107 where it is gone or another one.
    """
    if against is not None:
        return against, _options(manifest) if manifest is not None else {}
    if manifest is None:
        raise UserError("QD0106", "a .qdm alone does not say what it was built from", help="--against MODEL")
    source = manifest["source"]
    options = {"weights": source["weights"], "input_spec": source["input_spec"], **_options(manifest)}
    if source["path"] is None:
        return source["spec"], options
    path = folder / source["path"] if source["spec"] == source["path"] == "model.pt" else Path(source["path"])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            "QD0101", f"cannot read the model that was built: {error.strerror}", where=str(path), help="--against MODEL"
        ) from error
    if manifests.sha256(content) != source["sha256"]:
        raise UserError(
            "QD0107", "the trained model is not the one that was built", where=str(path), help="build again, or --against MODEL"
        )
    return str(path), options


def _options(manifest: dict[str, Any]) -> dict[str, Any]:
    """How the build's model was lowered; builds of older versions do not say it."""
    source = manifest["source"]
    return {"calibration": source.get("calibration"), "logits": bool(source.get("logits"))}


def oracle_of(loaded: LoadedModel) -> Predict:
    """The trained model itself, in PyTorch, as a function."""
    from qnn_deploy.nn.truth import logits

    module, shape = loaded.module, spec_of(loaded.model.graph.inputs[0]).shape[1:]
    return lambda images: as_float(logits(module, in_shape(images, shape)))


def is_packed(name: str) -> bool:
    """True for a build directory or a ``.qdm``; anything else is a trained model."""
    return Path(name).is_dir() or Path(name).suffix == ".qdm"


def open_packed(name: str) -> Packed:
    """The build directory or ``.qdm`` called ``name``, checked.

    Raises:
        UserError: QD0101, QD0103, QD0107.
    """
    path = Path(name)
    if not path.is_dir():
        content = read_bytes(path)
        return Packed(content, decode(content, where=name), name, {}, None)
    manifest = manifests.read(path)
    found = [row["path"] for row in manifest["artefacts"] if row["kind"] == "qdm"]
    if not found:
        raise UserError("QD0107", "the build has no packed model", where=name, help="build with --emit qdm,exe")
    content = read_bytes(path / found[0])
    programs = {row["target"]: (path / row["path"]).parent for row in manifest["artefacts"] if row["kind"] == "exe"}
    return Packed(content, decode(content, where=str(path / found[0])), name, programs, manifest)


def executable_of(packed: Packed, target: Target, name: str = "qd_run", cc: str | None = None) -> Path:
    """The executable ``name`` for ``target``: the build's own, else one compiled now."""
    if target.name in packed.programs and (packed.programs[target.name] / name).exists():
        return packed.programs[target.name] / name
    from qnn_deploy.toolchain.compiler import find_compiler

    return build_program(name, target, find_compiler(cc))


def default_target(packed: Packed, target: str | None, runner: str | None) -> Target:
    """The target asked for, else the build's only one (the first of several that ``runner`` executes), else this machine."""
    if target is not None:
        return find_target(target)
    rows = [find_target(name) for name in packed.programs]
    wanted = [row for row in rows if (runner == "qemu") != row.native or (runner or "").startswith("ssh:")]
    fits = wanted or ([] if runner else rows)
    return fits[0] if fits else find_target("host")


def predictor(name: str, *, target: str | None, runner: str | None, kernels: str) -> Predictor:
    """What the command line's ``name`` computes: a trained model, a build or a ``.qdm``."""
    if is_packed(name):
        packed = open_packed(name)
        row = default_target(packed, target, runner)
        found = find_runner(runner, row)
        return Predictor(predict_qdm(found, executable_of(packed, row), packed.content, kernels), *packed.input, packed.classes)
    from qnn_deploy.frontend import load_model

    loaded = load_model(name)
    result = loaded.model.graph.outputs[0].dtype
    return Predictor(oracle_of(loaded), *input_of(loaded), classes=result is not None and result.is_integer())


def input_of(loaded: LoadedModel) -> tuple[tuple[int, int, int], str]:
    """Input shape [C, H, W] and dtype of a loaded model."""
    value = loaded.model.graph.inputs[0]
    assert value.shape is not None and value.dtype is not None
    shape = [int(side) for side in list(value.shape)[1:]]  # type: ignore[arg-type, call-overload]
    channels, height, width = (*shape, 1, 1)[:3]
    return (channels, height, width), value.dtype.name.lower()


def load_data(spec: str | None, shape: tuple[int, int, int], dtype: str, limit: int | None) -> datasets.Dataset | None:
    """The data set ``spec``, else the one that has such images and is there, else None.

    Raises:
        UserError: QD0104 where its images do not fit the model's input, QD0203 where it is not found.
    """
    if spec is None:
        spec = _DEFAULT_DATA.get(shape)
        if spec is None or (spec == "cifar10" and datasets.find_cifar10() is None):
            return None
    data = datasets.load(spec).take(limit)
    check_input(data.images, shape, dtype, spec)
    return data


def check_input(images: NDArray[Any], shape: tuple[int, int, int], dtype: str, where: str) -> None:
    """Raise UserError QD0104 unless ``images`` are [N, *shape] of ``dtype``, N at least 1."""
    expected = f"{dtype} [N, {', '.join(map(str, shape))}]"
    if images.dtype != np.dtype(dtype) or in_shape(images, shape).shape[1:] != shape or len(images) == 0:
        raise UserError("QD0104", f"the model takes {expected}, found {images.dtype} {list(images.shape)}", where=where)


def packed_backends(
    packed: Packed,
    targets: Sequence[Target],
    runners: Sequence[str],
    *,
    trained: Trained,
    slow_limit: int | None,
    emulated_limit: int | None,
) -> list[Backend]:
    """The packed model on every (target, runner, kernel family).

    With no ``runners`` named: this machine and each target's default runner; what is missing becomes a row that says so.
    A runner that was named must be there.
    """
    from qnn_deploy.evaluate import divergence

    rows: list[Backend] = []
    seen: set[tuple[str, str]] = set()
    plans: list[tuple[Target, str | None]] = [(target, spec) for spec in runners for target in targets if spec != "host" or target.native]
    if not runners:
        plans = [(find_target("host"), None), *((target, None) for target in targets)]
    elif "host" in runners and not any(spec == "host" for _, spec in plans):
        plans.append((find_target("host"), "host"))
    for target, spec in plans:
        try:
            runner: Runner = find_runner(spec, target)
            executable = executable_of(packed, target)
        except ToolchainError as error:
            if spec is not None:
                raise
            rows.append(Backend("model.qdm", target.runner or "host", "/".join(target.kernels), None, None, _reason(error)))
            continue
        for kernels in target.kernels:
            if (runner.name, kernels) in seen:
                continue
            seen.add((runner.name, kernels))
            limit = emulated_limit if runner.name != "host" else slow_limit if kernels == "ref" else None
            predict = predict_qdm(runner, executable, packed.content, kernels)
            subject = divergence.Subject(runner, executable, packed.content, kernels, trained.lowered.model)
            rows.append(Backend("model.qdm", runner.name, kernels, limit, predict, "", subject.diagnose, subject.count))
    return rows


def _reason(error: QnnDeployError) -> str:
    return error.message.splitlines()[0]


def chain_backends(trained: Trained, artefacts: Mapping[str, bytes], *, reference_limit: int, onnx_limit: int | None) -> list[Backend]:
    """The links of the chain that need no compiler: the deploy form in torch, the numpy reference, the artefacts "onnx" and "tflite"."""
    from qnn_deploy.evaluate import divergence, lce, reference
    from qnn_deploy.nn.deploy import deploy
    from qnn_deploy.nn.truth import logits

    graph, module = trained.lowered.model, trained.loaded.module
    shape = spec_of(graph.graph.inputs[0]).shape[1:]
    rows = []
    if trained.lowered.departures:
        rows.append(Backend("deploy form", "torch", "-", None, None, "it keeps torch's sums, from which the artefacts depart"))
    else:
        try:
            form = deploy(module)
            rows.append(Backend("deploy form", "torch", "-", None, lambda images: as_float(logits(form, in_shape(images, shape)))))
        except QnnDeployError:
            raise
        except Exception as error:  # torch.fx cannot trace a stranger's control flow
            rows.append(Backend("deploy form", "torch", "-", None, None, f"not traceable by torch.fx: {type(error).__name__}"))
    diagnose = divergence.diagnose_reference(module, graph)
    rows.append(Backend("exact graph", "numpy", "-", reference_limit, lambda images: as_float(reference.run(graph, images)), "", diagnose))
    onnx, tflite = artefacts.get("onnx"), artefacts.get("tflite")
    if onnx is not None:
        try:
            rows.append(
                Backend("model.onnx", "onnxruntime", "-", onnx_limit, predict_onnx(onnx), "", divergence.diagnose_onnx(onnx, graph))
            )
        except UserError as error:
            if error.code != "QD0111":
                raise
            rows.append(Backend("model.onnx", "onnxruntime", "-", None, None, "ONNX Runtime is not installed"))
    if tflite is not None:
        try:
            predict = lce.predict_tflite(lce.find(), tflite, input_of(trained.loaded)[0])
            rows.append(Backend("model.tflite", "LCE interpreter", "-", None, predict))
        except UserError as error:
            rows.append(Backend("model.tflite", "LCE interpreter", "-", None, None, f"{_reason(error)}: {error.help}"))
    return rows
