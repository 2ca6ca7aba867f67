"""What the command line does, as functions: explicit arguments in, plain data out, no printing, no exit.

Every function raises `qnn_deploy.errors.QnnDeployError` for what a user can mend. Heavy packages are imported inside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qnn_deploy.errors import ToolchainError, UserError

if TYPE_CHECKING:
    from qnn_deploy.evaluate.lint import Lint
    from qnn_deploy.evaluate.parity import VerifyReport

Progress = Callable[[str], None]


def _silent(stage: str) -> None:
    pass


def build(
    model: str,
    targets: Sequence[str] = ("host",),
    emit: Sequence[str] = ("qdm", "onnx", "exe"),
    out: str | Path | None = "out",
    *,
    weights: str | None = None,
    input_spec: str | None = None,
    trust_pickle: bool = False,
    calibrate: str | None = None,
    activations: str = "int16",
    calibrate_images: int = 256,
    logits: bool = False,
    cc: str | None = None,
    print_ir: Callable[[str, str], None] | None = None,
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Compile ``model`` into the directory ``out`` and return the manifest.

    Args:
        model: a checkpoint (.pt), a torch.export archive (.pt2) or ``module:function``.
        targets: names of targets, each gets its executables.
        emit: names of formats (`emit.EMIT_NAMES`).
        out: where the build goes, whole or not at all; None compiles and writes nothing.
        weights, input_spec, trust_pickle: see `frontend.load_model`.
        calibrate: training data, for a network that sums float activations: they become integers by scales that follow from
            ``calibrate_images`` of these images.
        activations: "int16" or "int8", with ``calibrate``.
        logits: leave out a softmax at the very end; the artefacts return its logits.
        cc: a C compiler's command line; None for the default.
        print_ir: gets (name of a pass, text of the graph behind it).
        progress: gets the name of each stage as it begins.

    Raises:
        UserError: bad input or a place that cannot be written. CompileErrors: the model cannot be deployed, with every reason.
        ToolchainError: no compiler, or it failed.
    """
    from qnn_deploy.emit import EXECUTABLE, FORMATS, check_names, folder, manifest
    from qnn_deploy.targets import find_target

    check_names(tuple(emit))
    rows = list({target.name: target for target in map(find_target, targets)}.values())
    if out is not None:
        folder.check_replaceable(Path(out))

    progress("import")
    from qnn_deploy.frontend import load_model
    from qnn_deploy.passes.pipeline import lower
    from qnn_deploy.plan import plan

    loaded = load_model(model, weights=weights, input_spec=input_spec, trust_pickle=trust_pickle)
    progress("lower")
    calibration = None
    if calibrate is not None:
        from qnn_deploy.evaluate.calibration import calibration_for

        calibration = calibration_for(loaded, calibrate, calibrate_images, activations, progress)
    lowered = lower(loaded.model, calibration=calibration, logits=logits, after=_printer(print_ir))
    progress("plan")
    program = plan(lowered.model)
    progress("encode")
    files = {row.file: row.encode(lowered.model, program) for row in FORMATS if row.name in emit}
    description = manifest.describe(program)
    description["name"] = loaded.name
    proof = {
        "channels": sum(proof.channels for proof in lowered.proofs),
        "accumulators": sum(proof.accumulators for proof in lowered.proofs),
        "violations": sum(proof.violations for proof in lowered.proofs),
    }
    kinds = {row.file: row.name for row in FORMATS}
    artefacts = [_artefact(kinds[name], name, None, content) for name, content in files.items()]
    source = Path(model)
    description["source"] = {"spec": source.name if source.is_file() else model, "path": None, "sha256": None}
    if source.is_file():
        description["source"] |= {"path": str(source), "sha256": manifest.sha256(source.read_bytes())}
        if source.suffix == ".pt" and weights is None:
            files["model.pt"] = source.read_bytes()
            description["source"] |= {"spec": "model.pt", "path": "model.pt"}
            artefacts.append(_artefact("source", "model.pt", None, files["model.pt"]))
    description["source"] |= {"weights": weights, "input_spec": input_spec, "calibration": None, "logits": logits}
    if lowered.scales:
        used = {"data": calibrate, "images": calibrate_images, "activations": activations, "scales": dict(lowered.scales)}
        description["source"]["calibration"] = used

    programs: dict[str, Path] = {}
    if EXECUTABLE in emit and out is not None:
        from qnn_deploy.emit.executable import executables

        progress(f"compile the runtime for {', '.join(target.name for target in rows)}")
        with ThreadPoolExecutor(len(rows)) as pool:
            compiled = list(pool.map(lambda target: executables(target, cc), rows))
        for target, found in zip(rows, compiled, strict=True):
            prefix = f"{target.name}/" if len(rows) > 1 else ""
            for name, path in found.items():
                programs[prefix + name] = path
                artefacts.append(_artefact("library" if target.bare else "exe", prefix + name, target.name, path.read_bytes()))
    result = {
        "schema_version": manifest.SCHEMA_VERSION,
        "qnn_deploy": _version(),
        "targets": [target.name for target in rows],
        "model_id": manifest.sha256(files["model.qdm"])[:12] if "model.qdm" in files else None,
        **description,
        "proof": proof,
        "departures": [dataclasses.asdict(each) for each in lowered.departures],
        "artefacts": artefacts,
    }
    if out is not None:
        progress("write")
        _write(Path(out), result, files, programs)
    return result


def _printer(print_ir: Callable[[str, str], None] | None) -> Callable[[str, Any], None] | None:
    if print_ir is None:
        return None
    from qnn_deploy.ir.text import dump

    return lambda name, model: print_ir(name, dump(model))


def _version() -> str:
    from qnn_deploy import __version__

    return __version__


def _artefact(kind: str, path: str, target: str | None, content: bytes) -> dict[str, Any]:
    from qnn_deploy.emit.manifest import sha256

    return {"kind": kind, "path": path, "target": target, "bytes": len(content), "sha256": sha256(content)}


def _write(out: Path, manifest_json: dict[str, Any], files: dict[str, bytes], programs: dict[str, Path]) -> None:
    from qnn_deploy.emit import folder, manifest
    from qnn_deploy.evaluate.report import layer_table

    with folder.replacing(out) as fresh:
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        for name, path in programs.items():
            (fresh / name).parent.mkdir(exist_ok=True)
            (fresh / name).write_bytes(path.read_bytes())
            if not path.suffix:  # a program
                mode = (fresh / name).stat().st_mode
                (fresh / name).chmod(mode | (mode & 0o444) >> 2)  # who may read it may run it
        (fresh / "report.txt").write_text(layer_table(manifest_json) + "\n")
        (fresh / manifest.FILE).write_bytes(manifest.write_json(manifest_json))


def verify(
    folder: str | Path,
    *,
    against: str | None = None,
    data: str | None = None,
    runners: Sequence[str] = (),
    limit: int | None = None,
    slow_limit: int | None = None,
    onnx_limit: int | None = None,
    emulated_limit: int | None = 1000,
    reference_limit: int = 32,
    layers: bool = False,
    trust_pickle: bool = False,
    progress: Progress = _silent,
) -> VerifyReport:
    """Compare every artefact of the build in ``folder`` with the trained model, bit for bit.

    Where the model has departures (`passes.departures`) the artefacts are compared with one another, and what differs from the trained
    model is counted in ``trained``.

    Args:
        against: the trained model; default: the one that was built.
        data: a data specification; default: the data set that has such images, where it is there.
        runners: ``host``, ``qemu``, ``ssh:HOST``; default: this machine and every target's own.
        limit: at most so many images of the data; ``slow_limit`` on ONNX Runtime (unless there is an ``onnx_limit``) and
            with the portable kernels of this machine; ``emulated_limit`` under an emulator and on a board; ``reference_limit`` in
            numpy. None: all.
        trust_pickle: see `frontend.load_model`.
        layers: compare the output of every operator on one image too.

    Raises:
        UserError: bad input. ToolchainError: a runner that was named is missing.
    """
    from qnn_deploy.evaluate import inputs, parity, subjects
    from qnn_deploy.targets import find_target

    packed = subjects.open_packed(str(folder))
    manifest = packed.manifest
    progress("load the trained model")
    spec, options = subjects.source_of(Path(folder), manifest, against)
    trained = subjects.open_trained(spec, **options, trust_pickle=trust_pickle)
    shape, dtype = packed.input
    if subjects.input_of(trained.loaded) != packed.input:
        raise UserError("QD0104", f"the build takes {dtype} {list(shape)}, the trained model something else", where=spec)
    images = subjects.load_data(data, shape, dtype, limit)
    generated = inputs.generate(trained.lowered.model, shape, dtype)
    targets = [find_target(name) for name in packed.programs] or [find_target("host")]
    rows = (manifest or {"artefacts": []})["artefacts"]
    contents = {row["kind"]: (Path(folder) / row["path"]).read_bytes() for row in rows if row["kind"] in ("onnx", "tflite")}
    backends = subjects.chain_backends(trained, contents, reference_limit=reference_limit, onnx_limit=onnx_limit or slow_limit)
    runtime = subjects.packed_backends(packed, targets, runners, trained=trained, slow_limit=slow_limit, emulated_limit=emulated_limit)
    return parity.compare(
        trained.oracle,
        [*backends, *runtime],
        images,
        generated.images,
        proof=None if manifest is None else manifest["proof"],
        departures=[dataclasses.asdict(each) for each in trained.lowered.departures],
        ties=generated.ties,
        classes=packed.classes,
        layers=layers,
        progress=progress,
    )


def evaluate(
    name: str,
    *,
    data: str | None = None,
    limit: int | None = None,
    target: str | None = None,
    runner: str | None = None,
    kernels: str = "auto",
) -> dict[str, Any]:
    """Count the correct predictions of a trained model, a build or a ``.qdm``: ``{"images", "correct", "top1", ...}``."""
    from qnn_deploy.evaluate import accuracy

    return accuracy.evaluate(name, data, limit, target=target, runner=runner, kernels=kernels)


def run(name: str, images: Any, *, target: str | None = None, runner: str | None = None, kernels: str = "auto") -> Any:
    """Logits float32 [N, classes] of ``images`` [N, C, H, W] by a trained model, a build or a ``.qdm``.

    Raises:
        UserError: QD0104 where the images do not fit.
    """
    from qnn_deploy.evaluate import subjects

    return subjects.predictor(name, target=target, runner=runner, kernels=kernels).run(images)


def bench(
    name: str,
    *,
    target: str | None = None,
    runner: str | None = None,
    kernels: Sequence[str] = (),
    threads: int = 1,
    runs: int = 30,
    warmup: int = 3,
    peers: bool = False,
    trust_pickle: bool = False,
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Median and 95th percentile of an inference, per kernel family: ``{"rows": [...]}``.

    Args:
        kernels: families; default: every one of the target.
        threads: of the C runtime; results do not depend on it.
        peers: also the same network on Larq Compute Engine, in fp32 on TFLite, in u8s8 and in fp32 on ONNX Runtime, interleaved; rows then
            have ``ratio``, their speed over the last; ``not_run`` says which peers are not there and why.
        trust_pickle: for ``peers``, see `frontend.load_model`.
    """
    from qnn_deploy.evaluate import bench as measuring
    from qnn_deploy.evaluate import subjects
    from qnn_deploy.toolchain.runner import find_runner

    packed = subjects.open_packed(name)
    if peers and packed.manifest is None:
        raise UserError("QD0106", "--peers needs a build directory: a .qdm does not say what it was built from", where=name)
    row = subjects.default_target(packed, target, runner)
    found = find_runner(runner, row)
    program = subjects.executable_of(packed, row, "qd_bench")
    title = packed.manifest["name"] if packed.manifest else Path(name).name
    measured: list[tuple[dict[str, Any], measuring.Measure]] = [
        (
            {"name": title, "runner": found.name, "kernels": family, "threads": threads},
            measuring.measure_qdm(found, program, packed.content, family, threads),
        )
        for family in kernels or row.kernels
    ]
    not_run: list[str] = []
    if peers:
        from qnn_deploy.evaluate import peers as others

        spec, options = subjects.source_of(Path(name), packed.manifest)
        lowered = subjects.open_trained(spec, **options, trust_pickle=trust_pickle).lowered
        added, not_run = others.peers(lowered, title, packed)
        measured += added
    rows = measuring.interleave(measured, runs, warmup, progress)
    if not rows:
        raise ToolchainError("QD0403", f"none of the kernels {', '.join(kernels or row.kernels)} is there on {found.name}")
    if peers:
        for line in rows:
            line["ratio"] = rows[-1]["median_ms"] / line["median_ms"]
    return {"schema_version": measuring.SCHEMA_VERSION, "rows": rows, "not_run": not_run}


def lint(model: Any, *, weights: str | None = None, input_spec: str | None = None, trust_pickle: bool = False) -> Lint:
    """Which layers of ``model`` (as for `build`, or a torch module) will run on bits, and why not the others. Nothing is written.

    Raises:
        UserError: the model cannot be read; what keeps it from being deployed is listed, not raised.
    """
    from qnn_deploy.evaluate.lint import lint

    return lint(model, weights=weights, input_spec=input_spec, trust_pickle=trust_pickle)


def inspect(name: str) -> dict[str, Any]:
    """What a build directory, a ``.qdm``, an ``.onnx`` or a checkpoint holds."""
    from qnn_deploy.evaluate import inspection

    return inspection.inspect(name)


def train(
    recipe: str,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    data: str | None = None,
    resume: bool = False,
    report: Callable[[dict[str, Any]], None] = lambda metrics: None,
    progress: Callable[[int, int, int, int], None] = lambda epoch, epochs, step, steps: None,
) -> dict[str, Any]:
    """Train ``recipe`` (a TOML file or the name of a folder in ``models/``) and write ``model.pt`` and ``trained.json`` into ``out``.

    Args:
        overrides: ``key=value`` in TOML syntax, over the recipe's keys; ``key.inner`` reaches into its tables.
        resume: go on after the last whole epoch in ``out``, with the result of a run that never stopped.
        report: gets the metrics of each epoch (`train.metrics.COLUMNS`).
        progress: gets the epoch, the number of epochs, the steps done in it and their number, a few times a second.

    Raises:
        UserError: for a recipe, data, a state to resume or an output that cannot be used, and QD0204 where training diverges.
    """
    try:
        from qnn_deploy.train import run as training
    except ImportError as error:
        raise UserError("QD0111", "training needs PyTorch", help='pip install "qnn-deploy[torch]"') from error
    options: dict[str, Any] = {"overrides": tuple(overrides), "data_spec": data, "resume": resume}
    return training.run(recipe, Path(out), **options, report=report, progress=progress)


def sweep(
    file: str | Path,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] = (),
    address: str | None = None,
    report: Callable[[dict[str, Any], int, int], None] = lambda row, done, total: None,
) -> dict[str, Any]:
    """Train every trial of the sweep ``file`` into a folder of its own under ``out``, on Ray: ``{"rows": [...], "sort": ...}``, best first.

    A trial that is finished is not repeated, one that was interrupted goes on. ``results.csv`` and ``results.png`` lie beside the folders.

    Args:
        overrides: ``key=value`` over the file's ``[set]``, for every trial that does not set the key itself.
        seeds: instead of the file's, if any.
        address: of a running Ray cluster (``"auto"``, ``host:port``) that sees ``out``; None starts one on this machine for the time.
        report: gets each finished trial's row, how many are done, and of how many.

    Raises:
        UserError: QD0206 or QD0202 for a sweep or a trial that is malformed, before anything starts; QD0111 where a package is missing.
    """
    try:
        from qnn_deploy.train.sweep import run as sweeping
    except ImportError as error:
        raise UserError("QD0111", "training needs PyTorch", help='pip install "qnn-deploy[torch]"') from error
    return sweeping.run(Path(file), Path(out), overrides=overrides, seeds=seeds, address=address, report=report)
