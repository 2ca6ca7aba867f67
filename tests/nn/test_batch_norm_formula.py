"""The formula of the contract against torch's own kernel.

Where a torch build differs this test says so; the formula stays the reference.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.nn.batch_norm_check import check  # noqa: E402


@pytest.mark.parametrize("kind", [torch.nn.BatchNorm2d, torch.nn.BatchNorm1d])
@pytest.mark.parametrize("channels", [1, 3, 16, 64, 100])
def test_torch_batchnorm_is_the_formula(kind: type, channels: int) -> None:
    torch.manual_seed(channels)
    layer = kind(channels).eval()
    layer.weight.data.normal_()
    layer.bias.data.normal_()
    layer.running_mean.normal_(0, 30)
    layer.running_var.uniform_(1e-3, 900)
    result = check(layer, "layer", 1_000_000)
    capability = torch.backends.cpu.get_cpu_capability()
    assert result.differing == 0, (
        f"torch {torch.__version__} ({capability}) computes BatchNorm in another way than fma(x, a, b): "
        f"{result.differing} of {result.values} values differ; artefacts follow the formula, see docs"
    )
