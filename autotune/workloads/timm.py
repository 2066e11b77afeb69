"""timm's models: `timm:vit_base_patch16_224`, with random weights or a state_dict file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.hardware.interpreters import missing
from autotune.workloads import torchvision
from autotune.workloads._images import decoded
from autotune.workloads._torch import import_torchvision, load_weights

if TYPE_CHECKING:
    import numpy as np

packages = ("torch", "torchvision", "timm")
form: Form = "module"
plain = "torch_eager"
paths = torchvision.paths
Options = torchvision.Options
cache_key = torchvision.cache_key
judged = torchvision.judged


def unavailable(options: torchvision.Options, hw: Hardware) -> str | None:
    """Reason why models cannot be built here, or None."""
    return missing(packages, hw)


def examples(name: str, options: torchvision.Options, seed: int, samples: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Standard normal images of the size that the model was made for."""
    import numpy as np

    timm = _import_timm(name)
    made_for = timm.models.get_pretrained_cfg(name)
    size = made_for.input_size if made_for else (3, 224, 224)
    return (np.random.default_rng([seed, 0]).standard_normal((samples, *size), dtype=np.float32),)


def images(name: str, options: torchvision.Options, files: Sequence[Path]) -> tuple[np.ndarray[Any, Any], ...]:
    """Images resized, cropped and normalised as the model's configuration says."""
    timm = _import_timm(name)
    made_for = timm.models.get_pretrained_cfg(name)
    if made_for is None:
        raise ModelError(f"timm has no transform of {name}; write a function that returns arrays")
    settings = timm.data.resolve_data_config({}, pretrained_cfg=made_for.to_dict())
    return decoded(files, timm.data.create_transform(**settings))


def classifies(name: str, options: torchvision.Options) -> bool:
    """True if the model has a head of classes; some return embeddings."""
    made_for = _import_timm(name).models.get_pretrained_cfg(name)
    return made_for is None or made_for.num_classes > 0


def build(name: str, options: torchvision.Options, seed: int) -> Any:
    """The named model in eval mode; ModelError with near names for one that does not exist."""
    import torch

    timm = _import_timm(name)
    torch.manual_seed(seed)
    model = timm.create_model(name, pretrained=False)
    if options.weights:
        load_weights(model, options.weights, f"timm:{name}")
    return model.eval()


def _import_timm(name: str) -> Any:
    """timm, which imports torchvision, if it has the model; ModelError with near names if not."""
    import_torchvision()
    import timm

    try:
        if timm.is_model(name):
            timm.models.get_pretrained_cfg(name)
            return timm
        near = did_you_mean(name, timm.list_models())
        hint = near if near.startswith("; did you mean") else "; timm.list_models() names them all"
    except RuntimeError:  # an unknown tag of a model that it has
        hint = did_you_mean(name, timm.list_models(f"{name.partition('.')[0]}.*", pretrained=True))
    raise ModelError(f"timm has no model {name!r}{hint}")
