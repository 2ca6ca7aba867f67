"""Constant expressions get the bits that torch gives; what has no one answer is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.passes.fold_constant_ops import FoldConstantOps
from tests.passes._l0 import kinds, l0, run

CONSTANTS = """<float[2, 3] a = {0.1, -2.5, 3.5, -0.0, 0.5, -7.25}, float[3] b = {3, 7, -0.3}, float one = {1}, float minus = {-1},
 int64[1] last = {-1}, int64[2] wide = {2, 3}, int64[2] swap = {3, 2}, int64[1] zero_i = {0}, int64[1] one_i = {1}, int64[1] two_i = {2}, int8[2] q = {-128, 127}>"""


def _folded(step: str) -> np.ndarray:
    model = l0(f"net (float[2, 3] x) => (y) {CONSTANTS} {{ c = {step} y = Identity (c) }}")
    run(model, FoldConstantOps)
    assert kinds(model) == ["Identity"]
    value = model.graph.initializers["c"].const_value
    assert value is not None
    return value.numpy()


@pytest.mark.parametrize(
    ("step", "torch_expression"),
    [
        ("Add (a, b)", "a + b"),
        ("Sub (a, b)", "a - b"),
        ("Mul (a, b)", "a * b"),
        ("Div (a, b)", "a / b"),
        ("Neg (a)", "-a"),
        ("Abs (a)", "a.abs()"),
        ("Round (a)", "a.round()"),
        ("Floor (a)", "a.floor()"),
        ("Ceil (a)", "a.ceil()"),
        ("Sign (a)", "a.sign()"),
        ("Relu (a)", "a.relu()"),
        ("Clip (a, minus, one)", "a.clamp(-1, 1)"),
        ("Clip (a, minus)", "a.clamp(min=-1)"),
        ("Max (a, b)", "torch.maximum(a, b)"),
        ("Min (a, b)", "torch.minimum(a, b)"),
        ("Equal (a, one)", "a == 1"),
        ("Greater (a, b)", "a > b"),
        ("GreaterOrEqual (a, b)", "a >= b"),
        ("Less (a, b)", "a < b"),
        ("LessOrEqual (a, b)", "a <= b"),
        ("ReduceMax <keepdims = 0> (a, last)", "a.amax(-1)"),
        ("ReduceMin (a, last)", "a.amin(-1, keepdim=True)"),
        ("ReduceMax (a)", "a.amax((0, 1), keepdim=True)"),
        ("Reshape (a, swap)", "a.reshape(3, 2)"),
        ("Transpose <perm = [1, 0]> (a)", "a.t().contiguous()"),
        ("Unsqueeze (a, last)", "a.unsqueeze(-1)"),
        ("Expand (b, wide)", "b.expand(2, 3).contiguous()"),
        ("Concat <axis = 0> (a, a)", "torch.cat([a, a])"),
        ("Slice (a, one_i, two_i, one_i)", "a[:, 1:2].contiguous()"),
        ("Gather <axis = 1> (a, two_i)", "a[:, [2]]"),
        ("Cast <to = 1> (q)", "q.float()"),
        ("qnn_deploy.sign (a)", "torch.ops.qnn_deploy.sign(a)"),
        ("qnn_deploy.quantize <low = -2, high = 3> (a, one)", "torch.ops.qnn_deploy.quantize(a, one, -2, 3)"),
    ],
)
def test_bits_of_torch(step: str, torch_expression: str) -> None:
    torch = pytest.importorskip("torch")
    import qnn_deploy.nn.functional  # noqa: F401

    names = {
        "torch": torch,
        "a": torch.tensor([[0.1, -2.5, 3.5], [-0.0, 0.5, -7.25]]),
        "b": torch.tensor([3, 7, -0.3]),
        "one": torch.tensor(1.0),
        "q": torch.tensor([-128, 127], dtype=torch.int8),
    }
    expected = eval(torch_expression, names).numpy()
    found = _folded(step)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    bits = found.dtype.kind == "f"
    assert np.array_equal(found.view(np.int32), expected.view(np.int32)) if bits else np.array_equal(found, expected)


def test_chains_fold() -> None:
    text = "{ d = Mul (b, b) e = Mul (d, b) p = GreaterOrEqual (e, one) c = Where (p, one, minus) y = Add (x, c) }"
    model = l0(f"net (float[2, 3] x) => (y) {CONSTANTS} {text}")
    run(model, FoldConstantOps)
    assert kinds(model) == ["Add"]
    value = model.graph.initializers["c"].const_value
    assert value is not None
    assert value.numpy().tolist() == [1, 1, -1]


def test_shapes_of_computed_tensors_are_constants() -> None:
    model = l0(f"net (float[2, 3] x) => (y) {CONSTANTS} {{ r = Relu (x) s = Shape <start = 1> (r) e = Expand (one, s) y = Add (r, e) }}")
    run(model, FoldConstantOps)
    assert kinds(model) == ["Relu", "Add"]


@pytest.mark.parametrize("step", ["ReduceSum (a, last)", "ReduceMean (a, last)", "Sqrt (b)", "Exp (a)", "MatMul (a, swapped)", "Tanh (a)"])
def test_what_depends_on_order_or_library_is_left(step: str) -> None:
    text = f"{{ swapped = Transpose <perm = [1, 0]> (a) c = {step} y = Add (x, c) }}"
    model = l0(f"net (float[2, 3] x) => (y) {CONSTANTS} {text}")
    run(model, FoldConstantOps)
    assert kinds(model) == [step.split()[0], "Add"]


def test_sums_of_integers_fold() -> None:
    model = l0(
        f"net (float[2, 3] x) => (y) {CONSTANTS} {{ s = ReduceSum <keepdims = 0> (swap, zero_i) c = Cast <to = 1> (s) y = Add (x, c) }}"
    )
    run(model, FoldConstantOps)
    assert kinds(model) == ["Add"]
    value = model.graph.initializers["c"].const_value
    assert value is not None
    assert value.numpy() == 5
