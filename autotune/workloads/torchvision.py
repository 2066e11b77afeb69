"""torchvision's models: `torchvision:resnet50`, with random weights or a state_dict file."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from autotune.errors import ModelError, did_you_mean
from autotune.types import Hardware, Struct

packages = ("torch", "torchvision")
paths = ("weights",)


class Options(Struct):
    """`weights`: a state_dict file (loaded with weights_only=True); None draws random weights from the seed."""

    weights: str | None = None


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why models cannot be built here, or None."""
    missing = [name for name in packages if name not in hw.packages]
    return f"{' and '.join(missing)} not installed; pip install {' '.join(missing)}" if missing else None


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """The digest of the weights file, so that other content is another model; ModelError if it cannot be read."""
    if options.weights is None:
        return ()
    try:
        state = Path(options.weights).stat()
    except OSError as error:
        raise ModelError(f"the weights {options.weights} cannot be read: {error.strerror}") from error
    return (_file_digest(options.weights, state.st_mtime_ns, state.st_size),)


def judged(options: Options) -> bool:
    """Random weights give outputs that hardly depend on the input: nothing can be judged."""
    return options.weights is not None


def build(name: str, options: Options, seed: int) -> Any:
    """The named model in eval mode; ModelError with near names for one that does not exist."""
    import torch

    torchvision = _import_torchvision()
    known = torchvision.models.list_models()
    if name not in known:
        raise ModelError(f"torchvision has no model {name!r}{did_you_mean(name, known)}")
    torch.manual_seed(seed)
    model = torchvision.models.get_model(name, weights=None)
    if options.weights:
        try:
            state = torch.load(options.weights, weights_only=True, map_location="cpu")
        except OSError as error:
            raise ModelError(f"the weights {options.weights} cannot be read: {error.strerror}") from error
        except Exception as error:
            raise ModelError(
                f"{options.weights} is not a state_dict file; write one with torch.save(model.state_dict(), path)"
            ) from error
        try:
            model.load_state_dict(state)
        except Exception as error:
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelError(f"the weights {options.weights} do not fit torchvision:{name}: {why}") from error
    return model.eval()


@functools.cache
def _import_torchvision() -> Any:
    """torchvision, also where its compiled operators cannot load (PyPI's wheel beside a CPU build of torch).

    Its import registers fake kernels for operators that then do not exist; declaring their schemas first is enough for
    models that never call them. A model that does call one fails by torch's own message, which names the operator.
    """
    import torch

    package = importlib.util.find_spec("torchvision")
    folder = Path(package.origin).parent if package and package.origin else Path()
    try:
        for compiled in folder.glob("_C*.so"):
            torch.ops.load_library(compiled)
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
    import torchvision

    return torchvision


_libraries: list[Any] = []  # a torch.library.Library withdraws its operators when it is collected


@functools.cache
def _file_digest(path: str, modified_ns: int, size: int) -> str:
    """Read once for each state of the file: the key is asked for at every trial."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
