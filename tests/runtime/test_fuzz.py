"""The fuzzers' corpus: small, made again by its script, and every file that once was a finding stays quiet under the sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.test_tools import load

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "runtime" / "fuzz" / "corpus"
COMPILER = shutil.which("clang") or shutil.which("gcc")

# (target, file of its corpus): what was wrong.
FINDINGS = {("image", "npy_descr_at_the_end"): "a .npy header of 1023 bytes that ends in 'descr' was read one byte past its end"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("fuzz", monkeypatch)


@pytest.mark.skipif(COMPILER is None, reason="neither clang nor gcc found")
@pytest.mark.parametrize(("target", "name"), FINDINGS, ids=lambda text: text)
def test_a_finding_stays_fixed(target: str, name: str, script: ModuleType, tmp_path: Path) -> None:
    program = script.compile_target(target, fuzzer=False, compiler=COMPILER, folder=tmp_path)
    run = subprocess.run([program, CORPUS / script.TARGETS[target][0] / name], capture_output=True, text=True)
    assert run.returncode == 0 and "1 passed" in run.stdout, run.stderr


@pytest.mark.skipif(COMPILER is None, reason="neither clang nor gcc found")
def test_seeds_are_made_by_their_script(tmp_path: Path) -> None:
    program, made = tmp_path / "seeds", tmp_path / "made"
    made.mkdir()
    subprocess.run([str(COMPILER), "-std=c11", str(ROOT / "runtime" / "fuzz" / "seeds.c"), "-o", str(program)], check=True)
    subprocess.run([program, made], check=True)
    for path in made.iterdir():
        assert (CORPUS / "qdm" / path.name).read_bytes() == path.read_bytes(), path.name
    assert len(list(made.iterdir())) == 7


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 300_000


def test_summary_of_a_log(script: ModuleType) -> None:
    log = "#1 cov: 3 ft: 4 corp: 1\n#2 cov: 10 ft: 12 corp: 2\nstat::number_of_executed_units: 1234\nTest unit written to x/crash-1\n"
    assert script.summary(log) == "1,234 executions, 10 edges, 12 features, x/crash-1"
    assert script.summary("") == "0 executions, 0 edges, 0 features, nothing found"
