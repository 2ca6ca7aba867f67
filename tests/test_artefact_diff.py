"""`tools/artefact_diff.py` names what differs: the operator and field, the constant and element, the initializer."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from qnn_deploy.emit import qdm
from qnn_deploy.emit.qdm_reader import decode
from tests.test_tools import load

PACKED = (Path(__file__).resolve().parents[1] / "runtime" / "fuzz" / "corpus" / "qdm" / "every_operator_1_1.qdm").read_bytes()


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("artefact_diff", monkeypatch)


def test_a_constant(tool: ModuleType) -> None:
    program = decode(PACKED)
    index, op = next((index, op) for index, op in enumerate(program.ops) if op.constants)
    slot, constant = op.constants[0]
    changed = program.constants[constant].copy()
    changed.view(np.uint8)[-1] ^= 1
    constants = (*program.constants[:constant], changed, *program.constants[constant + 1 :])
    before, after = qdm.encode(program), qdm.encode(dataclasses.replace(program, constants=constants))
    said = tool.difference("model.qdm", before, after)
    assert said.startswith(f"operator {index} ({op.name}): {slot.name}[{len(changed) - 1}] ")
    assert tool.difference("model.qdm", before, before) == ""


def test_a_field_of_an_operator(tool: ModuleType) -> None:
    program = decode(PACKED)
    index, op = next((index, op) for index, op in enumerate(program.ops) if op.scratch_bytes)
    ops = (*program.ops[:index], dataclasses.replace(op, scratch_bytes=op.scratch_bytes + 4), *program.ops[index + 1 :])
    said = tool.difference("model.qdm", qdm.encode(program), qdm.encode(dataclasses.replace(program, ops=ops)))
    assert said == f"operator {index} ({op.name}): scratch_bytes {op.scratch_bytes} became {op.scratch_bytes + 4}"


def test_an_initializer_and_a_foreign_version(tool: ModuleType) -> None:
    text = '<ir_version: 10, opset_import: ["" : 20]> net (float[1] x) => (float[1] y) <float[1] w = {1.0}> { y = Add(x, w) }'
    before = onnx.parser.parse_model(text)
    after = onnx.parser.parse_model(text.replace("1.0", "2.0"))
    assert tool.difference("model.onnx", before.SerializeToString(), after.SerializeToString()) == "initializer w"
    newer = PACKED[:6] + b"\x63" + PACKED[7:]
    assert "not read" in tool.difference("model.qdm", PACKED, newer)


def test_files_on_one_side(tool: ModuleType) -> None:
    assert tool.compare({"a.qdm": b"1"}, {"b.qdm": b"1"}) == ["a.qdm: only on one side", "b.qdm: only on one side"]


def test_a_commit_that_is_not_there(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["artefact_diff.py", "no-such-commit"])
    with pytest.raises(SystemExit) as caught:
        tool.main()
    assert caught.value.code == 2
