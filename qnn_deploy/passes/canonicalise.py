"""L0 to L1: the ordered table of canonicalising passes."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.fold_constant_ops import FoldConstantOps
from qnn_deploy.passes.lift_constants import LiftConstants
from qnn_deploy.passes.name_nodes import NameNodes
from qnn_deploy.passes.normalise_arg_max import NormaliseArgMax
from qnn_deploy.passes.normalise_batch_norm import NormaliseBatchNorm
from qnn_deploy.passes.normalise_clip import NormaliseClip
from qnn_deploy.passes.normalise_conv import NormaliseConv
from qnn_deploy.passes.normalise_conv_transpose import NormaliseConvTranspose
from qnn_deploy.passes.normalise_elementwise import NormaliseElementwise
from qnn_deploy.passes.normalise_flatten import NormaliseFlatten
from qnn_deploy.passes.normalise_gemm import NormaliseGemm
from qnn_deploy.passes.normalise_input import NormaliseInput
from qnn_deploy.passes.normalise_movement import NormaliseMovement
from qnn_deploy.passes.normalise_pool import NormalisePool
from qnn_deploy.passes.normalise_prelu import NormalisePRelu
from qnn_deploy.passes.raise_signals import RaiseSignals
from qnn_deploy.passes.recognise_quantize import RecogniseQuantize
from qnn_deploy.passes.recognise_sign import RecogniseSign
from qnn_deploy.passes.refuse_rest import RefuseRest
from qnn_deploy.passes.remove_clip_before_sign import RemoveClipBeforeSign
from qnn_deploy.passes.remove_identities import RemoveIdentities
from qnn_deploy.passes.remove_unread import RemoveUnread
from qnn_deploy.passes.resolve_straight_through import ResolveStraightThrough
from qnn_deploy.passes.sink_unsqueeze import SinkUnsqueeze

CANONICALISE: tuple[type[LevelPass], ...] = (
    LiftConstants,  # constants in one form, for all that follow
    RemoveIdentities,  # also those between constants and their users
    FoldConstantOps,  # what shapes, weights and scales are computed from
    RemoveIdentities,  # reshapes and products by one that folding revealed
    NormaliseArgMax,  # a map of classes is no signal
    NormaliseMovement,  # before anything else reads reshapes and transpositions
    RemoveUnread,  # what was between the ends of a movement
    RaiseSignals,  # 1-D layers are 2-D ones for all that follow
    NormaliseClip,  # quantisers are recognised by their clamp
    RecogniseSign,
    RecogniseQuantize,
    ResolveStraightThrough,  # x + (q(x) - x), now that q is known
    RemoveUnread,  # the insides of what was recognised
    NormaliseBatchNorm,
    NormalisePRelu,
    NormaliseFlatten,
    NormalisePool,  # behind the clamps, since both use Max and Min
    NormaliseConv,
    NormaliseConvTranspose,
    NormaliseGemm,
    NormaliseElementwise,  # what is left of additions and products with constants
    RemoveUnread,
    NormaliseInput,  # on Bias, the form that zero points have by now
    SinkUnsqueeze,  # over operators in their final form
    RemoveClipBeforeSign,
    RemoveUnread,
    NameNodes,
    RefuseRest,  # raises all findings at once; the level changes here
)


def canonicalise(model: ir.Model) -> None:
    """Bring ``model`` from L0 to L1, in place.

    Raises:
        CompileErrors: every reason why the model cannot be deployed.
    """
    for make in CANONICALISE:
        make()(model)
