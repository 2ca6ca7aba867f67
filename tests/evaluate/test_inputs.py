"""Generated inputs: the adversarial ones really put accumulators on thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qnn_deploy.evaluate import inputs, reference


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (2, 1, 1), (5, 7, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
def test_patterns(shape: tuple[int, int, int], dtype: str) -> None:
    images = inputs.patterns(shape, dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    assert images.dtype == dtype and images.shape[1:] == shape
    assert (images[0] == low).all() and (images[3] == high).all()
    assert images.min() == low and images.max() == high


@pytest.mark.parametrize("name", ["digits-cnn", "cnv", "binary-resnet"])
def test_first_layer_meets_its_switch_points(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from qnn_deploy.frontend import load_model
    from qnn_deploy.nn import checkpoint
    from qnn_deploy.passes.pipeline import lower
    from tests.nn._networks import SMALL, network

    module = network(name, 1)
    checkpoint.save(tmp_path / "model.pt", module, name, SMALL[name], {})
    graph = lower(load_model(str(tmp_path / "model.pt")).model).model
    made = inputs.generate(graph, module.input_shape, count=4)  # type: ignore[arg-type]
    found = inputs._first_convolution(graph)
    assert found is not None and made.ties > 0
    conv = found[0]
    accumulators = reference.run(graph, made.images, keep=True)[conv.outputs[0].name or ""]
    points = inputs._switch_points(conv)
    assert points is not None
    hit = [bool((accumulators[:, channel] == point).any()) for channel, point in enumerate(points)]
    # A zero gamma has no switch point, and one beyond what a patch can reach cannot be met.
    assert sum(hit) >= made.ties // 3 > 0


def test_same_seed_same_inputs(tmp_path: Path) -> None:
    a = inputs.patterns((3, 8, 8))
    assert np.array_equal(a, inputs.patterns((3, 8, 8)))
