"""torch = canonical graph, bit for bit, for our networks and for the ways in which others write theirs; and what is said where it cannot be."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import CompileErrors, QnnDeployError  # noqa: E402
from qnn_deploy.evaluate.reference import run  # noqa: E402
from qnn_deploy.frontend import torch_export  # noqa: E402
from qnn_deploy.frontend.input_spec import parse_input_spec  # noqa: E402
from qnn_deploy.frontend.prepend_input import prepend_input  # noqa: E402
from qnn_deploy.ir.edit import LAYER, SOURCE  # noqa: E402
from qnn_deploy.passes.canonicalise import canonicalise  # noqa: E402
from tests.frontend import _modules  # noqa: E402
from tests.nn._networks import network, pixels  # noqa: E402

PIXELS = parse_input_spec("1x3x8x8:uint8:zero=120,3,4")


def _logits(model: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(x).numpy()


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype == np.float32 and np.array_equal(a.view(np.int32), b.view(np.int32))


@pytest.mark.parametrize(("name", "folded"), [("digits-cnn", True), ("cnv", True), ("binary-resnet", True), ("binary-resnet", False)])
def test_our_networks(name: str, folded: bool) -> None:
    from qnn_deploy.nn.layers import fold

    model = network(name, 3)
    x = pixels(model, 6, 3)
    expected = _logits(model, x)
    if folded:
        fold(model)
    graph = torch_export.export(model, model.input_shape, "uint8", name)
    if folded and name == "binary-resnet":
        _check_provenance(graph)
    canonicalise(graph)
    assert _same_bits(run(graph, x.numpy()), expected)


def _stranger(make: type[torch.nn.Module]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Logits of torch and of the canonical graph, and the graph's operators."""
    model = _modules.prepared(make)
    graph = torch_export.export(model, PIXELS.shape, "float32", make.__name__)
    prepend_input(graph, PIXELS)
    canonicalise(graph)
    x = np.random.default_rng(1).integers(0, 256, (5, *PIXELS.shape)).astype(np.uint8)
    return _logits(torch_export.with_input(model, PIXELS), torch.from_numpy(x)), run(graph, x), [node.op_type for node in graph.graph]


@pytest.fixture(scope="module")
def activations() -> tuple[np.ndarray, np.ndarray, list[str]]:
    return _stranger(_modules.Activations)


@pytest.mark.parametrize("name", _modules.ACTIVATIONS)
def test_activations(activations: tuple[np.ndarray, np.ndarray, list[str]], name: str) -> None:
    expected, found, _ = activations
    column = 3 * list(_modules.ACTIVATIONS).index(name)
    assert _same_bits(found[:, column : column + 3].copy(), expected[:, column : column + 3].copy())


def test_activations_are_recognised(activations: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    _, _, operators = activations
    quantised = sum("quantised" in name for name in _modules.ACTIVATIONS)
    assert operators.count("Quantize") == quantised
    assert operators.count("Sign") == len(_modules.ACTIVATIONS) - quantised
    assert "Clip" not in operators


def test_layers() -> None:
    expected, found, _ = _stranger(_modules.Layers)
    assert _same_bits(found, expected)


def test_slopes() -> None:
    expected, found, operators = _stranger(_modules.Slopes)
    assert _same_bits(found, expected)
    assert operators.count("PRelu") == 7
    assert len(np.unique(expected)) > 10


def _check_provenance(model: ir.Model) -> None:
    """Every operator knows its layer and line."""
    graph = model.graph
    layers = {node.metadata_props.get(LAYER, "") for node in graph}
    assert {"input", "stem", "units.0.sign", "units.0.conv", "units.2", "head"} <= layers
    assert all(node.metadata_props[SOURCE].startswith("resnet.py:") for node in graph)
    assert all(set(node.metadata_props) == {LAYER, SOURCE} for node in graph if LAYER in node.metadata_props)


def test_export_prints_nothing_and_shares_no_memory(capfd: pytest.CaptureFixture[str]) -> None:
    model = _modules.prepared(_modules.Small)
    graph = torch_export.export(model, PIXELS.shape, "float32", "small")
    with pytest.raises(CompileErrors):
        torch_export.export(_modules.DataDependent(), (3, 8, 8), "uint8", "net")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    model.c.weight.data.fill_(7)
    value = graph.graph.initializers["c.weight"].const_value
    assert value is not None
    assert set(np.unique(value.numpy())) == {-1, 1}


@pytest.fixture(scope="module")
def refusals() -> list[QnnDeployError]:
    model = _modules.Refused().eval()
    graph = torch_export.export(model, PIXELS.shape, "float32", "refused")
    prepend_input(graph, PIXELS)
    with pytest.raises(CompileErrors) as caught:
        canonicalise(graph)
    return caught.value.findings


REFUSED = [
    ("computed weights", "QD0305", "not constant", "Conv ("),
    ("norm", "QD0304", "variance holds NaN", "norm ("),
    ("batch", "QD0301", "from the batch", "batch ("),
    ("prelu", "QD0304", "slope holds NaN", "prelu ("),
    ("other sign", "QD0301", "Where", "("),
    ("divided", "QD0301", "division by 3", "Div ("),
    ("averaged", "QD0307", "averages", "AveragePool ("),
    ("softmax", "QD0301", "Softmax", "Softmax ("),
]


@pytest.mark.parametrize(("comment", "code", "message", "where"), REFUSED)
def test_refused_with_code_layer_line_and_help(refusals: list[QnnDeployError], comment: str, code: str, message: str, where: str) -> None:
    line = _modules.line_of(comment)
    (finding,) = [finding for finding in refusals if f"{line} in forward" in finding.where]
    assert (finding.code, message in finding.message, where in finding.where) == (code, True, True)
    assert finding.help or code == "QD0304"


def test_findings_come_in_the_order_of_the_code(refusals: list[QnnDeployError]) -> None:
    lines = [_modules.line_of(comment) for comment, *_ in REFUSED]
    assert [next(line for line in lines if f"{line} " in finding.where) for finding in refusals] == lines


@pytest.mark.parametrize(
    ("make", "text", "where"),
    [
        (_modules.DataDependent, "data-dependent", _modules.line_of("branch")),
        (_modules.Broken, "out of paper", _modules.line_of("broken")),
        (_modules.Unknown, "svd", ""),
    ],
)
def test_untraceable(make: type[torch.nn.Module], text: str, where: str) -> None:
    with pytest.raises(CompileErrors) as caught:
        torch_export.export(make(), (3, 8, 8), "uint8", "net")
    (finding,) = caught.value.findings
    assert finding.code == "QD0301"
    assert text in finding.message
    assert where in finding.where
    assert finding.help


def test_source_line() -> None:
    trace = """File "/home/u/net.py", line 3, in forward
    x = self.c(x)
  File "/usr/lib/python3/site-packages/torch/nn/modules/conv.py", line 99, in forward
    return F.conv2d"""
    assert torch_export.source_line(trace) == "net.py:3 in forward"
    assert torch_export.source_line('File "<eval_with_key>.1", line 3, in forward') == ""
    assert torch_export.source_line("") == ""
