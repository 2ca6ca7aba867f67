"""Errors for people: a code, what is wrong, where, and the remedy. One table gives each code its exit status."""

from __future__ import annotations

import contextlib
import difflib
import enum
from collections.abc import Iterable, Iterator


class Exit(enum.IntEnum):
    """Exit status of the command line."""

    OK = 0
    NO = 1
    BAD_INPUT = 2
    UNDEPLOYABLE = 3
    TOOLCHAIN = 4
    BUG = 70
    INTERRUPTED = 130


CODES: dict[str, tuple[Exit, str]] = {
    "QD0101": (Exit.BAD_INPUT, "a file cannot be read"),
    "QD0102": (Exit.BAD_INPUT, "a checkpoint is damaged or not ours"),
    "QD0103": (Exit.BAD_INPUT, "a packed model (.qdm) is damaged, altered or of a newer format version"),
    "QD0104": (Exit.BAD_INPUT, "the input has the wrong shape or dtype"),
    "QD0105": (Exit.BAD_INPUT, "the output cannot be written"),
    "QD0106": (Exit.BAD_INPUT, "an argument is malformed"),
    "QD0107": (Exit.BAD_INPUT, "a build directory is incomplete or was changed"),
    "QD0110": (Exit.BAD_INPUT, "unknown target"),
    "QD0111": (Exit.BAD_INPUT, "an extra package is needed"),
    "QD0112": (Exit.BAD_INPUT, "memory does not suffice"),
    "QD0201": (Exit.BAD_INPUT, "a recipe cannot be read"),
    "QD0202": (Exit.BAD_INPUT, "a recipe has an unknown or ill-typed key, or contradicts itself"),
    "QD0203": (Exit.BAD_INPUT, "data cannot be found or read"),
    "QD0204": (Exit.BAD_INPUT, "training left the finite numbers"),
    "QD0205": (Exit.BAD_INPUT, "a run cannot be resumed with this recipe or these data"),
    "QD0206": (Exit.BAD_INPUT, "a sweep is malformed or cannot run"),
    "QD0301": (Exit.UNDEPLOYABLE, "an operator cannot be lowered"),
    "QD0302": (Exit.UNDEPLOYABLE, "a shape is dynamic"),
    "QD0303": (Exit.UNDEPLOYABLE, "an accumulator could overflow"),
    "QD0304": (Exit.UNDEPLOYABLE, "a BatchNorm or PReLU holds NaN, Inf or a negative variance"),
    "QD0305": (Exit.UNDEPLOYABLE, "weights are not the integers that they must be"),
    "QD0307": (Exit.UNDEPLOYABLE, "a reduction runs over floats"),
    "QD0308": (Exit.UNDEPLOYABLE, "the input description is missing or does not fit the model"),
    "QD0309": (Exit.UNDEPLOYABLE, "an activation function is not monotone over its accumulators"),
    "QD0310": (Exit.BAD_INPUT, "activations cannot be calibrated on these data"),
    "QD0311": (Exit.UNDEPLOYABLE, "a layer has no form in Larq Compute Engine"),
    "QD0401": (Exit.TOOLCHAIN, "no compiler was found"),
    "QD0402": (Exit.TOOLCHAIN, "the compiler failed"),
    "QD0403": (Exit.TOOLCHAIN, "a runner is missing or failed"),
    "QD0901": (Exit.BUG, "an internal invariant is broken"),
}


class QnnDeployError(Exception):
    """Base of every error that qnn-deploy raises on purpose.

    Attributes:
        code: a key of `CODES`.
        message: what is wrong.
        where: file, layer or source line; empty where there is none.
        help: the remedy; empty where there is none.
    """

    def __init__(self, code: str, message: str, *, where: str = "", help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.where, self.help = code, message, where, help

    @property
    def exit_code(self) -> Exit:
        return CODES[self.code][0]

    def __str__(self) -> str:
        text = f"error[{self.code}]: {self.message}"
        if self.where:
            text += f"\n   --> {self.where}"
        if self.help:
            text += f"\n   = help: {self.help}"
        return text


class UserError(QnnDeployError):
    """Bad input or bad use."""


class ToolchainError(QnnDeployError):
    """A compiler, emulator or other outside program is missing or failed."""


class CompileErrors(QnnDeployError):  # noqa: N818 -- plural on purpose: it carries several
    """Every reason why a model cannot be deployed, collected over one run.

    Attributes:
        findings: the single errors, in graph order; never empty.
    """

    def __init__(self, findings: list[QnnDeployError]) -> None:
        first = findings[0]
        super().__init__(first.code, first.message, where=first.where, help=first.help)
        self.findings = findings

    def __str__(self) -> str:
        plural = "s" if len(self.findings) > 1 else ""
        return "\n".join(str(finding) for finding in self.findings) + f"\n{len(self.findings)} error{plural}. Nothing written."


@contextlib.contextmanager
def as_damage(code: str, what: str, *, where: str, help: str = "") -> Iterator[None]:
    """Make whatever the block raises a UserError ``code``: readers of foreign bytes raise anything at all. Errors of ours go through.

    Raises:
        UserError: QD0112 for a failed allocation, for sizes stand in such bytes.
    """
    try:
        yield
    except QnnDeployError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise no_memory(where) from error
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(code, f"{what}: {reason}", where=where, help=help) from error


_OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "std::bad_alloc", "not enough memory", "failed to map segment")
# Python's words where C code fails and loses the reason; seen only where memory ends.
_LOST_REASON = "error return without exception set"


def out_of_memory(error: BaseException | None) -> bool:
    """True where ``error``, or what caused it, is a failed allocation: Python's, torch's or the system's."""
    if error is None or isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return error is not None
    if isinstance(error, SystemError) and _LOST_REASON in str(error):
        return True
    return out_of_memory(error.__cause__) or out_of_memory(error.__context__)


def no_memory(where: str = "") -> UserError:
    """The error QD0112."""
    return UserError("QD0112", "memory does not suffice", where=where, help="close other programs, or raise the limit (ulimit -v)")


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``"did you mean 'x'? "`` for the name of ``known`` that is most like ``name``; empty where none is like it."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]!r}? " if close else ""


def unknown(what: str, name: object, known: Iterable[str], where: str = "") -> UserError:
    """The error QD0202 for a name that is not in ``known``, with the nearest one and all of them."""
    names = list(known)
    return UserError("QD0202", f"unknown {what} {name!r}", where=where, help=f"{nearest(name, names)}known: {', '.join(names) or 'none'}")
