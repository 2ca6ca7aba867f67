"""The way in: what a user names -> a graph at L0 and its oracle in torch. Importing this package does not import torch."""

from __future__ import annotations

from qnn_deploy.frontend.input_spec import InputSpec, parse_input_spec
from qnn_deploy.frontend.load import LoadedModel, load_model, load_module

__all__ = ["InputSpec", "LoadedModel", "load_model", "load_module", "parse_input_spec"]
