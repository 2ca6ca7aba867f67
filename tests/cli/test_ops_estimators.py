"""``qnn-deploy ops --estimators``, and docs/estimators.md, which must list the same."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

pytest.importorskip("torch")

from qnn_deploy import cli
from qnn_deploy.nn.estimators import ESTIMATORS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_json_holds_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["ops", "--estimators", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema_version"] == 1
    rows = {row["name"]: row for row in answer["estimators"]}
    assert list(rows) == list(ESTIMATORS)
    assert rows["identity"]["area"] is None
    assert rows["reste"]["parameters"] == {"o": 3.0, "m": 0.1, "t": 1.5} and rows["reste"]["scheduled"] == ["o"]
    assert rows["fda"]["status"] == "inferred" and rows["polynomial"]["status"] == "confirmed"
    assert all(row["source"] and row["formula"] for row in rows.values())


def test_text_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["ops", "--estimators"]) == 0
    out = capsys.readouterr().out
    assert all(any(line.startswith(name) for line in out.splitlines()) for name in ESTIMATORS)
    assert "t=1*" in out


def test_the_page_lists_every_estimator_with_its_numbers() -> None:
    text = (DOCS / "estimators.md").read_text()
    assert (DOCS / "estimators.png").stat().st_size > 10_000 and "estimators.png" in text
    for estimator in ESTIMATORS.values():
        area = "inf" if math.isinf(estimator.area) else f"{estimator.area:.4g}"
        row = next(line for line in text.splitlines() if line.startswith(f"| `{estimator.name}`"))
        cells = [cell.strip() for cell in row.replace("\\|", "/").strip("|").split("|")]
        assert cells[2:4] == [f"{estimator.at_zero:.4g}", area] and cells[4].startswith(estimator.status), row
