"""What an Arm program executes, counted under qemu, and how many cycles llvm-mca gives it on some cores.

Needs Debian's `qemu-user` (7.2; the static build has no plugins), `gcc` and `llvm-19` (llvm-mca, llvm-mc). Blind to caches, memory,
branch misses and what a core overlaps across blocks: every block of instructions is modelled as if it were a loop in steady state.
"""

from __future__ import annotations

import collections
import dataclasses
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_ITERATIONS = 64
# Blocks that together are less than this part of all instructions are not modelled.
_REST = 0.001

Blocks = dict[tuple[str, str], int]


@dataclasses.dataclass(frozen=True)
class Machine:
    """What executes a program and what reads its code; ``cores``: llvm-mca's name of each; ``call``: cycles of one (llvm-mca's guess)."""

    emulator: str
    triple: str
    attributes: str
    cores: dict[str, str]
    call: int = 100


# LLVM 19 gives cortex-a76 the model of the A57; the Neoverse N1 is the A76's server form.
CORES = {"a72": "cortex-a72", "a76": "neoverse-n1", "a53": "cortex-a53"}
A64 = Machine("qemu-aarch64", "aarch64-linux-gnu", "+dotprod,+fp16,+lse", CORES)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Instructions executed, and cycles by core, of a program or of the functions that begin with ``symbol``."""

    symbol: str
    instructions: float
    cycles: dict[str, float]


class Instrument:
    """Counts and models; block costs are kept. ``folder`` holds the compiled plugin."""

    def __init__(self, folder: Path, machine: Machine = A64) -> None:
        self._machine = machine
        self._plugin = folder / "count_blocks.so"
        source = Path(__file__).with_name("count_blocks.c")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", str(source), "-o", str(self._plugin)], check=True)
        self._text: dict[str, list[str]] = {}
        self._cycles: dict[tuple[str, str], float] = {}

    def count(self, command: Sequence[str], cpu: str = "cortex-a72") -> Blocks:
        """Executions by (symbol, bytes) of the program's blocks."""
        with tempfile.NamedTemporaryFile(suffix=".tsv") as out:
            qemu = [self._machine.emulator, "-cpu", cpu, "-plugin", f"{self._plugin},out={out.name}"]
            subprocess.run([*qemu, *command], check=True, stdout=subprocess.DEVNULL)
            blocks: Blocks = collections.Counter()
            for line in Path(out.name).read_text().splitlines():
                times, symbol, content = line.split("\t")
                blocks[symbol, content] += int(times)
        return blocks

    def difference(self, few: Sequence[str], many: Sequence[str], times: int, cpu: str = "cortex-a72") -> list[Cost]:
        """Costs by function of one repetition, where ``many`` does ``times`` repetitions more than ``few``; all but start and end."""
        blocks = collections.Counter(self.count(many, cpu))
        blocks.subtract(self.count(few, cpu))
        executed = {key: n / times for key, n in blocks.items() if n >= times and key[1]}
        total = sum(n * _length(content) for (_, content), n in executed.items())
        wanted, covered = [], 0.0
        for (symbol, content), n in sorted(executed.items(), key=lambda row: -row[1] * _length(row[0][1])):
            if covered < (1 - _REST) * total:
                wanted.append((symbol, content, n))
                covered += n * _length(content)
        self._model([content for _, content, _ in wanted])
        costs: dict[str, list[float]] = collections.defaultdict(lambda: [0.0] * (1 + len(self._machine.cores)))
        for symbol, content, n in wanted:
            row = [_length(content), *(self._cycles[content, core] for core in self._machine.cores)]
            costs[symbol] = [a + n * b for a, b in zip(costs[symbol], row, strict=True)]
        return [Cost(name, row[0], dict(zip(self._machine.cores, row[1:], strict=True))) for name, row in sorted(costs.items())]

    def _model(self, contents: Sequence[str]) -> None:
        first = next(iter(self._machine.cores))
        new = [content for content in dict.fromkeys(contents) if (content, first) not in self._cycles]
        if not new:
            return
        regions = [(f"b{i}", self._disassemble(content)) for i, content in enumerate(new)]
        text = "".join(f"# LLVM-MCA-BEGIN {name}\n" + "\n".join(lines) + f"\n# LLVM-MCA-END {name}\n" for name, lines in regions)
        for core, cpu in self._machine.cores.items():
            options = [f"-mcpu={cpu}", f"-mattr={self._machine.attributes}", f"-iterations={_ITERATIONS}"]
            options.append(f"-call-latency={self._machine.call}")
            found = _run(["llvm-mca-19", f"-mtriple={self._machine.triple}", *options, "-skip-unsupported-instructions=any"], text)
            totals = re.findall(r"Code Region - b(\d+)\n.*?Total Cycles:\s+(\d+)", found, re.DOTALL)
            cycles = {int(i): int(total) / _ITERATIONS for i, total in totals}
            for i, content in enumerate(new):
                self._cycles[content, core] = cycles.get(i, _length(content) / 2)

    def _disassemble(self, content: str) -> list[str]:
        """Instructions that llvm-mca can read: what only the system does is left out."""
        words = content.split()
        missing = [word for word in dict.fromkeys(words) if word not in self._text]
        for word, line in zip(missing, _disassembly(missing, self._machine), strict=True):
            self._text[word] = line
        # Conditions of Thumb's instructions are those of an IT before them, of which single ones know nothing.
        lines = ["nop" if re.match("it[te]* ", self._text[word]) else self._text[word] for word in words]
        return [line for line in lines if line and not line.startswith(("svc", "mrs", "msr"))]


def _length(content: str) -> int:
    """Instructions of a block."""
    return content.count(" ") + 1


def _disassembly(words: Sequence[str], machine: Machine) -> list[str]:
    """A line for each word of machine code; empty where it is none."""
    text = "".join(" ".join(f"0x{word[i : i + 2]}" for i in range(0, len(word), 2)) + "\n" for word in words)
    command = ["llvm-mc-19", "-disassemble", f"-triple={machine.triple}", f"-mattr={machine.attributes}"]
    lines = [line.strip().replace("\t", " ") for line in _run(command, text).splitlines()]
    lines = [line for line in lines if line and not line.startswith(".")]
    if len(lines) == len(words):
        return lines
    if len(words) == 1:
        return [""]
    return [line for word in words for line in _disassembly([word], machine)]


def _run(command: Sequence[str], text: str) -> str:
    return subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout
