"""torchvision's models: `torchvision:resnet50`, with random weights or a state_dict file."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.struct import Struct
from autotune.core.user_files import sha256
from autotune.hardware.interpreters import missing
from autotune.workloads._images import decoded
from autotune.workloads._torch import import_torchvision, load_weights

if TYPE_CHECKING:
    import numpy as np

packages = ("torch", "torchvision")
form: Form = "module"
plain = "torch_eager"
paths = ("weights",)


class Options(Struct):
    """`weights`: a state_dict file (.safetensors, or one of torch.save, loaded with weights_only=True); else random."""

    weights: str | None = None


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why models cannot be built here, or None."""
    return missing(packages, hw)


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """The digest of the weights file, so that other content is another model; ModelError if it cannot be read."""
    return () if options.weights is None else (sha256(options.weights, "the weights"),)


def judged(name: str, options: Options) -> bool:
    """Random weights give outputs that hardly depend on the input: nothing can be judged."""
    return options.weights is not None


def classifies(name: str, options: Options) -> bool:
    """Those of its models that return rows of numbers are classifiers."""
    return True


def images(name: str, options: Options, files: Sequence[Path]) -> tuple[np.ndarray[Any, Any], ...]:
    """Images as the model's best weights were evaluated: resized, cropped, normalised."""
    models = import_torchvision().models
    try:
        transform = models.get_model_weights(name).DEFAULT.transforms()
    except (ValueError, AttributeError) as error:
        raise ModelError(f"torchvision has no transform of {name}; write a function that returns arrays") from error
    return decoded(files, transform)


def build(name: str, options: Options, seed: int) -> Any:
    """The named model in eval mode; ModelError with near names for one that does not exist."""
    import torch

    torchvision = import_torchvision()
    known = torchvision.models.list_models()
    if name not in known:
        raise ModelError(f"torchvision has no model {name!r}{did_you_mean(name, known)}")
    torch.manual_seed(seed)
    builder = torchvision.models.get_model_builder(name)
    # those for detection and segmentation would download a backbone's weights
    parts = {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    model = builder(weights=None, **parts)
    if options.weights:
        load_weights(model, options.weights, f"torchvision:{name}")
    return model.eval()
