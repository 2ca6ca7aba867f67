#!/usr/bin/env python3
"""Mutation test of the runtime's verifier: `python3 tools/mutants.py [--sample N]`.

Every check of the verifier, the loader and the reader is found in clang's syntax tree and removed in turn; `runtime/tests/test_verify.c`
must fail each time. A mutant is one of

- `if`: the condition never holds; `or`, `and`, `bits`: one operand of ``||``, ``&&``, ``|`` or ``|=`` left out;
- `choice`: the condition of ``? :`` always or never holds; `bound`: ``<`` for ``<=``, ``>`` for ``>=`` and the other way round.

All mutants are compiled into one program, which QD_MUTANT chooses from, so that a mutant costs one run and no compilation.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / "runtime"
SOURCE = RUNTIME / "src"
_LEFT_OUT = {"||": ("or", "0"), "&&": ("and", "1"), "|": ("bits", "0")}
_SHIFTED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
# Or the compiler makes a test of its own out of a division by zero.
_TRAPS = ["-fsanitize=integer-divide-by-zero", "-fsanitize-undefined-trap-on-error"]
_INCLUDES = [f"-I{RUNTIME / 'include'}", f"-I{SOURCE}", f"-I{RUNTIME / 'tests'}"]

# (file, function, kind, text of the mutant): why no test can tell it from the verifier. A row that matches no survivor is an error.
EQUIVALENT: dict[tuple[str, str, str, str], str] = {
    ("qd_verify.c", "buffer_problem", "bound", "buffer->offset >= model->arena_bytes"): "no buffer is empty: the next line refuses",
    ("qd_verify_memory.c", "check_scratch", "bound", "op.scratch >= model->arena_bytes"): "the same",
    ("qd_verify_memory.c", "check_scratch", "if", "op.scratch_bytes == 0 -> 0"): "a short cut: nothing overlaps an empty block at 0",
    ("qd_verify_memory.c", "check_birth", "bound", "life->first[i] < at"): "no two buffers are born at once",
    ("qd_verify_conv.c", "lanes_are_clean", "bound", "shape->in >= 8 * j"): "the difference is 0 either way",
    ("qd_verify_conv.c", "lanes_are_clean", "bound", "used_bits > 8"): "0xFF << 8 & 0xFF is 0 too",
    (
        "qd_verify_conv.c",
        "lanes_are_clean",
        "if",
        "shape->bits == 1 && spare == 0 && used_lanes >= shape->lanes -> 0",
    ): "a short cut past weights that have no spare bits",
    ("qd_verify_conv.c", "pairs_are_clean", "bound", "(b % shape->blocks + 1) * 8 < shape->out"): "the short cut is taken less often",
    ("qd_verify_conv.c", "pairs_are_clean", "bound", "k + 2 < shape->k"): "the same",
    ("qd_verify_conv.c", "pairs_are_clean", "if", "full && shape->bits != 2 && k + 2 <= shape->k -> 0"): "it is never taken",
    ("qd_verify_conv.c", "lanes_are_clean", "bound", "used_lanes > shape->lanes"): "the same, taken less often",
    ("qd_verify_conv.c", "levels_fit", "bound", "low > most"): "there is at least one threshold: the same line refuses",
    (
        "qd_verify_conv.c",
        "qd_check_conv",
        "if",
        "!qd_only_fields(s, QD_F_CONV | QD_F_WINDOW | QD_F_PADDING | QD_F_STEPS | QD_F_REALS | QD_F_RANGE) -> 0",
    ): "a convolution has a use for every field",
    ("qd_verify_op.c", "qd_window_fits", "bound", "op->dilation_h >= 1"): "1 either way",
    ("qd_verify_op.c", "qd_window_fits", "bound", "op->dilation_w >= 1"): "1 either way",
    ("qd_verify_op.c", "qd_window_fits", "or", "op->kernel_h < 1 -> 0"): "no margin is smaller than the reach of nothing",
    ("qd_verify_op.c", "qd_window_fits", "or", "op->kernel_w < 1 -> 0"): "the same",
    ("qd_verify_move.c", "qd_check_concat", "bound", "from >= out"): "types that differ have different places, or none",
    ("qd_verify_op.c", "is_text", "bound", "lead <= 0x80"): "0x80 is refused in the next line, whatever its length",
    ("qd_verify_op.c", "is_text", "choice", "more == 0 -> 0"): "nothing is asked of the code of one byte",
    ("qd_verify_op.c", "is_float", "and", "op->opcode == QD_OP_CONV -> 1"): "only a convolution may have an epilogue",
    ("qd_read.h", "qd_i32", "choice", "u <= 0x7FFFFFFFu -> 1"): "compilers convert so; the other way is there for the standard's sake",
    ("qd_read.h", "qd_i32", "choice", "u <= 0x7FFFFFFFu -> 0"): "the same",
    ("qd_read.h", "qd_i32", "bound", "u < 0x7FFFFFFFu"): "the same",
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One removed check. ``text`` is what is replaced, [begin, end) its bytes; ``before`` and ``after`` go around them."""

    number: int
    file: str
    line: int
    function: str
    kind: str
    text: str
    begin: int
    end: int
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.file, self.function, self.kind, self.text

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.function}: {self.kind}: {self.text}"


def files() -> list[Path]:
    """What is mutated: everything between the bytes of a file and the executor."""
    return [*sorted(SOURCE.glob("qd_verify*.[ch]")), SOURCE / "qd_load.c", SOURCE / "qd_read.h"]


def syntax_tree(path: Path) -> dict:
    command = ["clang", "-x", "c", "-std=c11", *_INCLUDES, "-Xclang", "-ast-dump=json", "-fsyntax-only", "-Wno-pragma-once-outside-header"]
    return json.loads(subprocess.run([*command, str(path)], check=True, capture_output=True, text=True).stdout)


def span(node: dict) -> tuple[int, int] | None:
    """Bytes [begin, end) of a node in its file, None for one that lies inside a macro or another file."""
    begin, end = node["range"]["begin"], node["range"]["end"]
    if "spellingLoc" in begin and begin.get("expansionLoc") == end.get("expansionLoc") and node["kind"] == "BinaryOperator":
        return None
    begin, end = begin.get("expansionLoc", begin), end.get("expansionLoc", end)
    if "offset" not in begin or "offset" not in end or "includedFrom" in begin:
        return None
    return begin["offset"], end["offset"] + end["tokLen"]


def checks(node: dict) -> Iterator[tuple[str, dict, str, str]]:
    """(kind, node to replace, what replaces it, or an operator that replaces the node's own) of every mutant below a node."""
    children = [child for child in node.get("inner", []) if child]
    kind, operator = node["kind"], node.get("opcode", "")
    if kind == "IfStmt":
        yield "if", children[0], "0", ""
    elif kind == "ConditionalOperator":
        yield "choice", children[0], "1", ""
        yield "choice", children[0], "0", ""
    elif operator in _LEFT_OUT:
        kind, value = _LEFT_OUT[operator]
        # a || b || c: its operands are a, b and c, not a || b.
        yield from ((kind, child, value, "") for child in children if child.get("opcode") != operator)
    elif operator == "|=":
        yield "bits", children[1], "0", ""
    elif operator in _SHIFTED:
        yield "bound", node, "", operator
    for child in children:
        # Where a loop ends is no check; the sanitizers watch it.
        of_loop = kind in ("ForStmt", "WhileStmt") and child.get("opcode") in _SHIFTED
        if "kind" in child:
            yield from (mutant for mutant in checks(child) if not (of_loop and mutant[1] is child))


def mutants_of(path: Path, first: int) -> list[Mutant]:
    """The mutants of one file, numbered from ``first``."""
    source = path.read_bytes()
    result: list[Mutant] = []
    for declaration in syntax_tree(path)["inner"]:
        if declaration["kind"] != "FunctionDecl" or "includedFrom" in declaration["loc"] or "inner" not in declaration:
            continue
        body = declaration["inner"][-1]
        if body["kind"] != "CompoundStmt" or "includedFrom" in declaration["range"]["begin"]:
            continue
        for kind, node, value, operator in checks(body):
            place = span(node)
            if place is None:
                continue
            number, (begin, end) = first + len(result), place
            text = source[begin:end].decode()
            if operator:
                left, right = (span(child) for child in node["inner"])
                assert left is not None and right is not None
                other = f"{source[begin : left[1]].decode()} {_SHIFTED[operator]} {source[right[0] : end].decode()}"
                before, after, shown = f"(QD_MUTANT({number}) ? ({other}) : (", "))", " ".join(other.split())
            else:
                hold = "" if kind == "bits" else "!!"
                before, after, shown = f"(QD_MUTANT({number}) ? {value} : {hold}(", "))", f"{' '.join(text.split())} -> {value}"
            line = source[:begin].count(b"\n") + 1
            result.append(Mutant(number, path.name, line, declaration["name"], kind, shown, begin, end, before, after))
    return result


def mutated(source: bytes, mutants: list[Mutant]) -> bytes:
    """The file with every mutant in it, the original behind QD_MUTANT = 0."""
    edits: list[tuple[int, int, int, str]] = []
    for order, mutant in enumerate(mutants):
        size = mutant.end - mutant.begin
        # Outer ones open first and close last.
        edits.append((mutant.begin, 1, -size * 4096 + order, mutant.before))
        edits.append((mutant.end, 0, size * 4096 - order, mutant.after))
    result, at = b"extern int qd_mutant;\n#undef QD_MUTANT\n#define QD_MUTANT(number) (qd_mutant == (number))\n", 0
    for where, _, _, text in sorted(edits):
        result, at = result + source[at:where] + text.encode(), where
    return result + source[at:]


def build(mutants: list[Mutant], folder: Path, compiler: str) -> Path:
    """Compile the library with all mutants and its test."""
    shutil.copytree(SOURCE, folder / "src")
    for path in files():
        (folder / "src" / path.name).write_bytes(mutated(path.read_bytes(), [m for m in mutants if m.file == path.name]))
    chooser = folder / "chooser.c"
    chooser.write_text(
        "#include <stdlib.h>\nint qd_mutant;\n__attribute__((constructor)) static void choose(void) {\n"
        '    const char *number = getenv("QD_MUTANT");\n    if (number) qd_mutant = atoi(number);\n}\n'
    )
    sources = [*(folder / "src").glob("*.c"), *(folder / "src" / "kernels").glob("*.c"), RUNTIME / "tests" / "test_verify.c", chooser]
    includes = [f"-I{RUNTIME / 'include'}", f"-I{folder / 'src'}", f"-I{RUNTIME / 'tests'}"]
    flags = ["-std=c11", "-O1", "-w", "-DTEST_ENDS_AT_FAILURE", "-ffp-contract=off", *_TRAPS]
    command = [compiler, *flags, *includes, *map(str, sources), "-o", str(folder / "test"), "-lm"]
    subprocess.run(command, check=True)
    return folder / "test"


def killed(program: Path, number: int) -> bool:
    """True if the test fails, dies or takes more than 5 s of processor time with this mutant; unchanged it takes 0.1 s."""
    command = ["sh", "-c", f"ulimit -t 5; exec {shlex.quote(str(program))}"]
    return subprocess.run(command, env={**os.environ, "QD_MUTANT": str(number)}, capture_output=True).returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="only so many, chosen by chance with a fixed seed")
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    arguments = parser.parse_args()
    if shutil.which("clang") is None:
        sys.exit("clang not found: it finds the checks (apt install clang)")
    mutants: list[Mutant] = []
    for path in files():
        mutants += mutants_of(path, len(mutants) + 1)
    if arguments.list:
        print("\n".join(f"{mutant.number} {mutant}" for mutant in mutants))
        return 0
    chosen = mutants if arguments.sample is None else random.Random(0).sample(mutants, min(arguments.sample, len(mutants)))
    with tempfile.TemporaryDirectory() as folder:
        program = build(mutants, Path(folder), shutil.which("gcc") or "clang")
        if killed(program, 0):
            sys.exit("the test fails without any mutant")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            dead = list(pool.map(lambda mutant: killed(program, mutant.number), chosen))
    survivors = [mutant for mutant, is_dead in zip(chosen, dead, strict=True) if not is_dead]
    wrong = [f"survived: {mutant}" for mutant in survivors if mutant.key not in EQUIVALENT]
    wrong += [f"not equivalent: {mutant}" for mutant, is_dead in zip(chosen, dead, strict=True) if is_dead and mutant.key in EQUIVALENT]
    if arguments.sample is None:
        wrong += [f"no such mutant: {key}" for key in EQUIVALENT.keys() - {mutant.key for mutant in mutants}]
    print("\n".join(wrong))
    print(f"{len(chosen)} mutants of {len(mutants)}: {sum(dead)} killed, {len(survivors)} not")
    print(f"{len(chosen) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
