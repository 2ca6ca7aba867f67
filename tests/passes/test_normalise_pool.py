"""Pools in canonical form; averages that torch divides are refused."""

from __future__ import annotations

import pytest

from qnn_deploy.ir.edit import constant, shape_of
from qnn_deploy.passes.departures import departures_of
from qnn_deploy.passes.normalise_pool import NormalisePool
from tests.passes._l0 import kinds, l0, run

CONSTANTS = "<int64[2] map = {2, 3}, int64[2] back = {-1, -2}, int64[1] channels = {1}>"


def test_max_pool_gets_every_attribute() -> None:
    model = l0(
        "net (float[2, 3, 8, 8] x) => (float[2, 3, 4, 4] y) { y = MaxPool <kernel_shape = [2, 2], strides = [2, 2], storage_order = 0> (x) }"
    )
    assert run(model, NormalisePool) == []
    (node,) = model.graph
    assert {name: attribute.value for name, attribute in node.attributes.items()} == {
        "kernel_shape": (2, 2),
        "strides": (2, 2),
        "pads": (0, 0, 0, 0),
        "dilations": (1, 1),
        "ceil_mode": 0,
    }


def test_pool_with_indices_is_refused() -> None:
    text = "{ y, i = MaxPool <kernel_shape = [2, 2]> (x) j = Identity (i) }"
    (finding,) = run(l0(f"net (float[2, 3, 8, 8] x) => (float[2, 3, 7, 7] y, j) {text}"), NormalisePool)
    assert finding.code == "QD0301"


@pytest.mark.parametrize(
    ("step", "shape", "expected"),
    [
        ("ReduceSum <keepdims = 0> (x, map)", "2, 3", ["q.SumPool"]),
        ("ReduceSum <keepdims = 0> (x, back)", "2, 3", ["q.SumPool"]),
        ("ReduceSum (x, map)", "2, 3, 1, 1", ["q.SumPool", "Unsqueeze"]),
        ("ReduceMean <keepdims = 0> (x, map)", "2, 3", ["q.SumPool", "q.Scale"]),
        ("GlobalAveragePool (x)", "2, 3, 1, 1", ["q.SumPool", "q.Scale", "Unsqueeze"]),
        ("AveragePool <kernel_shape = [4, 8]> (x)", "2, 3, 1, 1", ["q.SumPool", "q.Scale", "Unsqueeze"]),
        ("ReduceMax <keepdims = 0> (x, map)", "2, 3", ["MaxPool", "Flatten"]),
        ("ReduceMax (x, map)", "2, 3, 1, 1", ["MaxPool"]),
    ],
)
def test_over_the_map(step: str, shape: str, expected: list[str]) -> None:
    model = l0(f"net (float[2, 3, 4, 8] x) => (float[{shape}] y) {CONSTANTS} {{ y = {step} }}")
    assert run(model, NormalisePool) == []
    assert kinds(model) == expected
    assert shape_of(model.graph.outputs[0]) == tuple(int(size) for size in shape.split(","))
    for node in model.graph:
        if node.op_type == "Scale":
            assert constant(node.inputs[1]) == 1 / 32
        if node.op_type == "MaxPool":
            assert node.attributes["kernel_shape"].as_ints() == (4, 8)


def test_a_mean_that_divides_by_no_power_of_two_departs() -> None:
    model = l0(f"net (float[2, 3, 7, 7] x) => (y) {CONSTANTS} {{ y = ReduceMean <keepdims = 0> (x, map) }}")
    assert run(model, NormalisePool) == []
    assert kinds(model) == ["q.SumPool", "q.Scale"]
    (departure,) = departures_of(model.graph)
    assert "by 49" in departure.what


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("AveragePool <kernel_shape = [2, 3]> (x)", "QD0307"),
        ("AveragePool <kernel_shape = [2, 2], pads = [1, 1, 1, 1]> (x)", "QD0307"),
        ("AveragePool <kernel_shape = [2, 2], ceil_mode = 1> (x)", "QD0307"),
        ("ReduceMean (x, channels)", "QD0307"),
        ("ReduceSum (x, channels)", "QD0301"),
        ("MaxPool <kernel_shape = [2, 2], dilations = [2, 1]> (x)", "QD0301"),
    ],
)
def test_refused(step: str, code: str) -> None:
    (finding,) = run(l0(f"net (float[2, 3, 7, 7] x) => (y) {CONSTANTS} {{ y = {step} }}"), NormalisePool)
    assert finding.code == code
    assert finding.where == "layer0 (net.py:0 in forward)"
    assert code == "QD0301" or "GlobalSumPool2d" in finding.help
