"""The comparison itself: every kind of difference is counted, named and makes the report fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_deploy.data import Dataset
from qnn_deploy.errors import QnnDeployError
from qnn_deploy.evaluate.backends import Backend, KernelsMissingError, as_float
from qnn_deploy.evaluate.parity import compare, count_correct, differing_bits, top1

LABELS = np.array([0, 1, 2, 3])
IMAGES = np.arange(4 * 1 * 2 * 2, dtype=np.uint8).reshape(4, 1, 2, 2)
DATA = Dataset(IMAGES, LABELS, "four")
PROOF = {"channels": 1, "accumulators": 10, "violations": 0}


def oracle(images: np.ndarray) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[images[:, 0, 0, 0] // 4 % 4]


def report_of(*backends: Backend, data: Dataset | None = DATA, proof: dict[str, int] | None = PROOF, **options: Any) -> Any:
    return compare(oracle, backends, data, IMAGES[:2], proof=proof, ties=0, **options)


def backend(predict: Any, **options: Any) -> Backend:
    return Backend("x", "host", "ref", options.pop("limit", None), predict, **options)


def test_equal_is_ok() -> None:
    report = report_of(backend(oracle))
    assert report.ok and [row["images"] for row in report.rows] == [4, 2]
    assert report.rows[0]["correct"] == 4 and report.trained["correct"] == 4
    assert report.to_json()["schema_version"] == 1


def test_one_bit_of_one_logit_is_seen() -> None:
    def predict(images: np.ndarray) -> np.ndarray:
        logits = oracle(images)
        logits.view(np.uint32)[1, 2] ^= 1
        return logits

    report = report_of(backend(predict, diagnose=lambda image: f"image {image[0, 0, 0, 0]}"))
    assert not report.ok
    assert [row["differing_bits"] for row in report.rows] == [1, 1]
    assert report.rows[0]["correct"] == 4, "the same answers are not the same bits"
    assert report.divergence == ("x on host (ref): image 4",)
    assert report.trained["changed"] == []


def test_changed_predictions_have_their_margin() -> None:
    report = report_of(backend(lambda images: oracle(images)[:, ::-1].copy()))
    changes = report.trained["changed"]
    assert len(changes) == 4 and changes[0] == {
        "artefact": "x",
        "runner": "host",
        "kernels": "ref",
        "image": 0,
        "trained": 0,
        "artefact_class": 3,
        "margin": 1.0,
    }


def test_what_cannot_run_is_said_and_is_no_success() -> None:
    def missing(images: np.ndarray) -> np.ndarray:
        raise KernelsMissingError("QD0403", "host does not have the avx2 kernels")

    report = report_of(backend(None, not_run="qemu-aarch64 not found"), backend(missing))
    assert [row["not_run"] for row in report.rows] == ["qemu-aarch64 not found", "host does not have the avx2 kernels"]
    assert not report.ok
    assert report_of(backend(None, not_run="x"), backend(oracle)).ok


def test_violations_of_the_proof_fail() -> None:
    assert not report_of(backend(oracle), proof={**PROOF, "violations": 1}).ok


def test_slow_backends_get_fewer_images() -> None:
    assert [row["images"] for row in report_of(backend(oracle, limit=3)).rows] == [3, 2]


def test_without_data_the_generated_inputs_remain() -> None:
    report = report_of(backend(oracle), data=None)
    assert report.ok and len(report.rows) == 1 and report.trained["images"] == 0


def test_layers_that_differ_fail() -> None:
    row = {"layer": "a", "differing": 1}
    assert not report_of(backend(oracle, layers=lambda image: [row]), layers=True).ok
    assert report_of(backend(oracle, layers=lambda image: [row])).ok


def test_bits() -> None:
    a = np.array([[0.0, 1.0]], np.float32)
    assert differing_bits(a, a) == 0
    assert differing_bits(a, np.array([[-0.0, 1.0]], np.float32)) == 1, "zeros of two signs are two values"
    assert differing_bits(a, a[:, :1]) == 64, "missing logits differ in every bit"


def test_ties_go_to_the_lowest_class() -> None:
    assert count_correct(np.array([[1.0, 1.0], [0.0, 2.0]], np.float32), np.array([0, 1])) == 2
    assert count_correct(np.zeros((1, 2), np.float32), np.array([-1])) is None


def test_of_a_network_that_gives_classes_they_count_themselves() -> None:
    classes = np.array([[3.0], [0.0], [7.0]], np.float32)
    assert count_correct(classes, np.array([3, 1, 7]), True) == 2
    assert count_correct(classes.reshape(1, 1, 3), np.array([[3, 0, 0]]), True) == 2

    def truth(images: np.ndarray) -> np.ndarray:
        return oracle(images).argmax(1, keepdims=True).astype(np.float32)

    report = compare(truth, [backend(lambda images: truth(images) + 1)], DATA, IMAGES[:2], proof=PROOF, ties=0, classes=True)
    assert report.trained["correct"] == 4 and report.rows[0]["correct"] == 0
    first = report.trained["changed"][0]
    assert (first["trained"], first["artefact_class"], first["margin"]) == (0, 1, 0.0)


def test_a_single_logit_is_no_class() -> None:
    """A network of one output was counted as if that number were its class."""
    logits = np.array([[3.0], [0.0]], np.float32)
    assert top1(logits, classes=False).tolist() == [0, 0]
    assert count_correct(logits, np.array([3, 0])) is None

    def truth(images: np.ndarray) -> np.ndarray:
        return images[:, :1, 0, 0].astype(np.float32)

    one = compare(truth, [backend(lambda images: truth(images) + 1)], DATA, IMAGES[:2], proof=PROOF, ties=0)
    assert not one.ok and one.trained["correct"] is None and one.rows[0]["correct"] is None and not one.trained["changed"]


@given(st.integers(-(2**24), 2**24))
def test_integers_that_float_holds(value: int) -> None:
    assert int(as_float(np.array([[value]], np.int32))[0, 0]) == value


def test_integers_that_float_may_not_hold() -> None:
    with pytest.raises(QnnDeployError):
        as_float(np.array([[2**24 + 1]], np.int32))
