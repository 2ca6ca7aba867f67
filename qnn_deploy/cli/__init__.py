"""The command line: one file per command, imported when it is chosen; errors for people; exit codes as in `errors.Exit`."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import tempfile
import traceback
from typing import Any, NoReturn

import click

from qnn_deploy import __version__
from qnn_deploy.cli._console import printable
from qnn_deploy.errors import Exit, QnnDeployError, nearest, no_memory, out_of_memory

COMMANDS: tuple[tuple[str, str], ...] = (
    ("train", "Train a recipe and save a deployable checkpoint."),
    ("sweep", "Train a recipe with many settings, on one machine or a cluster."),
    ("build", "Compile a trained model for one or more targets."),
    ("verify", "Compare every artefact of a build with the trained model, bit for bit."),
    ("eval", "Count the correct predictions of a model or an artefact."),
    ("run", "Run one input through a build or a .qdm file."),
    ("bench", "Measure the time of an inference, layer by layer."),
    ("inspect", "Show what a .qdm, .onnx, checkpoint or build holds."),
    ("targets", "List the targets, and check what is needed for them."),
    ("ops", "List the operators that can be deployed."),
)


class _LazyGroup(click.Group):
    """Lists commands from the table above and imports one only to run it (`--help` must not import torch or onnx)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, _ in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"qnn_deploy.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        guess = nearest(args[0], self.list_commands(ctx))
        if args[0] not in self.list_commands(ctx) and guess:
            ctx.fail(f"No such command {args[0]!r}: {guess.strip()}")
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="qnn-deploy")
def group() -> None:
    """From a trained binary or quantised PyTorch network to code that gives the same logits, bit for bit.

    \b
    qnn-deploy train cifar10-cnv-w1a1 -o run/
    qnn-deploy build run/model.pt --target arm64 -o out/
    qnn-deploy verify out/ --data cifar10
    """


class _Interrupted(BaseException):
    """SIGINT or SIGTERM. Not KeyboardInterrupt: where one passes through ``exec`` of a string (dataclasses, named tuples: any
    import), CPython ends the process by SIGINT after all, whoever caught it, and the exit status is lost."""


def _interrupt(signum: int, frame: object) -> NoReturn:
    raise _Interrupted


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the status that `errors.Exit` documents."""
    signals = (signal.SIGINT, signal.SIGTERM)  # a terminated build cleans up like an interrupted one
    for number in signals:
        signal.signal(number, _interrupt)
    status = invoke(sys.argv[1:] if arguments is None else arguments)
    for number in signals:
        signal.signal(number, signal.SIG_IGN)  # the work is done; what is left is the interpreter's own end
    sys.exit(int(status))


def invoke(arguments: list[str]) -> int:
    """Run the command line and return its exit status; nothing is raised."""
    try:
        status: Any = group.main(args=arguments, prog_name="qnn-deploy", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else Exit.OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, _Interrupted):
        print("interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.BAD_INPUT
    except BrokenPipeError:
        # The reader of stdout went away (`| head`); nothing is left to say, and Python's own flush at exit must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:
        if out_of_memory(error):
            error = no_memory()
        if isinstance(error, QnnDeployError):
            print(printable(str(error)), file=sys.stderr)
            return _bug(error) if error.exit_code == Exit.BUG else error.exit_code
        print(printable(f"error[QD0901]: {type(error).__name__}: {error}"), file=sys.stderr)
        return _bug(error)


def _bug(error: Exception) -> int:
    report = "what you did"
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile("w", prefix="qnn-deploy-", suffix=".txt", delete=False) as stream:
        stream.write(f"qnn-deploy {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        traceback.print_exception(error, file=stream)
        report = stream.name
    print(f"   = help: this is a bug in qnn-deploy; please report it with {report}", file=sys.stderr)
    return Exit.BUG
