"""Everything that a user may name as a model, and every way to name it wrongly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import CompileErrors, QnnDeployError  # noqa: E402
from qnn_deploy.evaluate.reference import run  # noqa: E402
from qnn_deploy.frontend import InputSpec, LoadedModel, load_model  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.passes.canonicalise import canonicalise  # noqa: E402
from tests.frontend import _modules  # noqa: E402
from tests.nn._networks import SMALL, network  # noqa: E402

FACTORY = "tests.frontend._modules:small"
INPUT = "1x3x8x8:uint8:zero=10,20,30:scale=0.5"


def _check(loaded: LoadedModel) -> np.ndarray:
    """Canonical graph = module, bit for bit; returns the logits."""
    assert not loaded.module.training
    loaded.module.eval()
    canonicalise(loaded.model)
    limits = np.iinfo(loaded.input.dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max + 1, (5, *loaded.input.shape)).astype(loaded.input.dtype)
    with torch.no_grad():
        logits = loaded.module(torch.from_numpy(x)).numpy()
    assert logits.dtype == np.float32
    assert np.array_equal(run(loaded.model, x).view(np.int32), logits.view(np.int32))
    return logits


def _refusal(spec: str, **options: str) -> QnnDeployError:
    with pytest.raises(QnnDeployError) as caught:
        load_model(spec, **options)  # type: ignore[arg-type]
    return caught.value


def test_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "digits.pt"
    checkpoint.save(path, network("digits-cnn", 0), "digits-cnn", SMALL["digits-cnn"], {})
    loaded = load_model(str(path))
    assert (loaded.name, loaded.input) == ("digits", InputSpec((1, 8, 8), "uint8", (0,)))
    _check(loaded)
    assert _refusal(str(path), weights=str(path)).code == "QD0106"
    assert _refusal(str(path), input_spec="1x1x8x8:uint8:zero=3").code == "QD0308"
    assert _refusal(str(path), input_spec="1x1x9x8:uint8").code == "QD0308"


def test_factory(tmp_path: Path) -> None:
    loaded = load_model(FACTORY, input_spec="1x3x8x8:uint8:zero=10,20,30")
    assert (loaded.name, loaded.input) == ("small", InputSpec((3, 8, 8), "uint8", (10, 20, 30)))
    assert next(iter(loaded.model.graph.inputs)).dtype == 2
    names = _check(loaded)
    assert names.shape == (5, 5)
    assert [node.name for node in loaded.model.graph][:2] == ["input", "c"]


def test_factory_with_weights_and_a_scale(tmp_path: Path) -> None:
    torch.save({"state_dict": _modules.prepared(_modules.Small, 5).state_dict()}, tmp_path / "w.pt")
    loaded = load_model("tests.frontend._modules:latent_small", weights=tmp_path / "w.pt", input_spec=INPUT)
    assert loaded.input.scale == (0.5, 0.5, 0.5)
    _check_scaled(loaded)


def _check_scaled(loaded: LoadedModel) -> None:
    """Scaled pixels make the first reduction a float one: the canonical form holds the steps, lowering decides."""
    canonicalise(loaded.model)
    assert [node.op_type for node in loaded.model.graph][:3] == ["SubtractZero", "Scale", "Conv"]


@pytest.mark.parametrize(
    ("spec", "options", "code", "text"),
    [
        ("tests.frontend._modules:nothing", {}, "QD0106", "nothing"),
        ("tests.frontend.nothing:small", {}, "QD0106", "ModuleNotFoundError"),
        ("tests.frontend._modules:failing", {}, "QD0106", "no such luck"),
        ("tests.frontend._modules:not_a_module", {}, "QD0106", "not callable"),
        ("tests.frontend._modules:line_of", {}, "QD0106", "TypeError"),
        (FACTORY, {}, "QD0308", "Small does not say"),
        (FACTORY, {"input_spec": "1x3x8x8"}, "QD0106", "dtype"),
        (FACTORY, {"weights": "none.pt", "input_spec": INPUT}, "QD0101", "weights"),
        ("none.pt", {}, "QD0101", "checkpoint"),
        ("none.pt2", {}, "QD0101", "archive"),
        ("none", {}, "QD0101", "no such file"),
        ("pyproject.toml", {}, "QD0106", "unknown kind"),
    ],
)
def test_refused(spec: str, options: dict[str, str], code: str, text: str) -> None:
    error = _refusal(spec, **options)
    assert error.code == code
    assert text in error.message
    assert error.help or code == "QD0101"


def test_weights_of_another_module(tmp_path: Path) -> None:
    torch.save({"c.weight": torch.ones(1)}, tmp_path / "w.pt")
    assert "another module" in _refusal(FACTORY, weights=str(tmp_path / "w.pt"), input_spec=INPUT).message
    torch.save([1, 2], tmp_path / "w.pt")
    assert "not a state_dict" in _refusal(FACTORY, weights=str(tmp_path / "w.pt"), input_spec=INPUT).message
    (tmp_path / "w.pt").write_bytes(b"junk")
    assert _refusal(FACTORY, weights=str(tmp_path / "w.pt"), input_spec=INPUT).code == "QD0102"


def test_input_of_another_shape_is_traced_and_named() -> None:
    with pytest.raises(CompileErrors) as caught:
        load_model(FACTORY, input_spec="1x3x9x9:uint8")
    assert "_modules.py:" in caught.value.findings[0].where


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``floats.pt2``: batch 2, from floats. ``pixels.pt2``: any batch, from uint8."""
    folder = tmp_path_factory.mktemp("pt2")
    torch.export.save(torch.export.export(_modules.prepared(_modules.Small), (torch.zeros(2, 3, 8, 8),)), folder / "floats.pt2")
    from qnn_deploy.nn.layers import fold

    dynamic = ({0: torch.export.Dim("n")},)
    with torch.no_grad():
        example = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
        program = torch.export.export(fold(network("digits-cnn", 0)), (example,), dynamic_shapes=dynamic)
    torch.export.save(program, folder / "pixels.pt2")
    return folder


def test_archive_of_a_fixed_batch(archives: Path) -> None:
    loaded = load_model(str(archives / "floats.pt2"), input_spec="1x3x8x8:int8:zero=-3")
    assert (loaded.name, loaded.input) == ("floats", InputSpec((3, 8, 8), "int8", (-3, -3, -3)))
    _check(loaded)
    line = _modules.line_of("layer of Small")
    assert all(line in node.metadata_props["qnn_deploy.source"] for node in loaded.model.graph if node.name in ("c", "b"))
    assert _refusal(str(archives / "floats.pt2")).code == "QD0308"
    assert _refusal(str(archives / "floats.pt2"), input_spec="1x3x8x9:uint8").code == "QD0308"


def test_archive_of_any_batch(archives: Path) -> None:
    loaded = load_model(str(archives / "pixels.pt2"))
    assert loaded.input == InputSpec((1, 8, 8), "uint8", (0,))
    _check(loaded)
    assert [node.name for node in loaded.model.graph][:3] == ["layers.0", "layers.1", "layers.2"]
    assert _refusal(str(archives / "pixels.pt2"), input_spec="1x1x8x8:uint8:zero=1").code == "QD0308"
    assert _refusal(str(archives / "pixels.pt2"), input_spec="1x1x8x8:int8").code == "QD0308"


def test_the_front_end_imports_no_torch() -> None:
    code = "import sys, qnn_deploy.frontend, qnn_deploy.passes.canonicalise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
