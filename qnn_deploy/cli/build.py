"""``qnn-deploy build``."""

from __future__ import annotations

import click

from qnn_deploy.cli._console import json_option, note, progress, show, show_json, width


@click.command("build")
@click.argument("model")
@click.option(
    "--target", "targets", metavar="T", multiple=True, default=("host",), help="May be given several times. See `qnn-deploy targets`."
)
@click.option("--emit", default="qdm,onnx,exe", show_default=True, help="Comma-separated: qdm, onnx, c, exe, tflite.")
@click.option("-o", "--out", type=click.Path(), default="out", show_default=True, help="Directory to write.")
@click.option("--weights", type=click.Path(), help="State dict for MODEL given as module:function.")
@click.option("--trust-pickle", is_flag=True, help="Run what the file of --weights names: only where you trust its author.")
@click.option("--input", "input_spec", metavar="SPEC", help="1x3x32x32:uint8[:zero=Z][:scale=S], where the model does not say.")
@click.option("--calibrate", metavar="DATA", help="Training data: where the model sums float activations, they become integers by data.")
@click.option("--activations", default="int16", show_default=True, help="int16 or int8, with --calibrate.")
@click.option("--calibrate-images", type=click.IntRange(min=1), default=256, show_default=True, help="As many of them.")
@click.option("--logits", is_flag=True, help="Leave out a softmax at the end: the artefacts return its logits.")
@click.option("--cc", metavar="COMMAND", help="C compiler; default: zig from the ziglang package.")
@click.option("--dry-run", is_flag=True, help="Compile, print the table, write nothing.")
@click.option("--print-ir", is_flag=True, help="Print the graph after each pass, on stderr.")
@json_option
def command(
    model: str,
    targets: tuple[str, ...],
    emit: str,
    out: str,
    weights: str | None,
    trust_pickle: bool,
    input_spec: str | None,
    calibrate: str | None,
    activations: str,
    calibrate_images: int,
    logits: bool,
    cc: str | None,
    dry_run: bool,
    print_ir: bool,
    as_json: bool,
) -> None:
    """Compile MODEL, a checkpoint (.pt), a torch.export archive (.pt2) or module:function, for one or more targets."""
    from qnn_deploy import api
    from qnn_deploy.evaluate.report import columns, layer_table, size

    with progress() as stage:
        manifest = api.build(
            model,
            targets,
            tuple(filter(None, emit.split(","))),
            None if dry_run else out,
            weights=weights,
            trust_pickle=trust_pickle,
            input_spec=input_spec,
            calibrate=calibrate,
            activations=activations,
            calibrate_images=calibrate_images,
            logits=logits,
            cc=cc,
            print_ir=(lambda name, text: note(f"--- {name}\n{text}")) if print_ir else None,
            progress=stage,
        )
    if as_json:
        show_json(manifest)
        return
    show(layer_table(manifest, width()))
    rows = [[row["path"], row["target"] or "any", size(row["bytes"]), row["sha256"][:12]] for row in manifest["artefacts"]]
    show("\n" + columns(rows, ["artefact", "target", "size", "sha256"], (0, 1)))
    if dry_run:
        note("dry run: nothing written")
    else:
        note(f"written to {out}; next: qnn-deploy verify {out} --data DATA")
