"""Models of texts or images of transformers: `transformers:mpnet` with random weights, or a local folder with its own.

A folder holds a config.json and, unless its weights shall be random, model.safetensors or pytorch_model.bin. Nothing
is ever downloaded and no code of a folder is run. The module takes input_ids and attention_mask, or pixel_values, by
position and returns one tensor, so that it can be exported.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from autotune.core.errors import ModelError, did_you_mean
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.struct import Struct
from autotune.core.user_files import sha256
from autotune.hardware.interpreters import missing
from autotune.workloads import _encoders
from autotune.workloads._images import decoded
from autotune.workloads._torch import import_torchvision, one_line

if TYPE_CHECKING:
    import numpy as np

packages = ("torch", "transformers")
form: Form = "module"
plain = "torch_eager"

CONFIG = "config.json"
TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model")
PROCESSOR = ("preprocessor_config.json", "processor_config.json")
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")

CLASSIFIERS = {
    "sequence_classification": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
    "image_classification": "AutoModelForImageClassification",
}
"""The class of transformers by the head that is a classifier's."""

DEFAULT_LABELS = (0, 1)
"""Those of a configuration that names none."""


class Options(Struct):
    """The head to put on the model, and the form of its inputs.

    `head` is what it returns: all hidden states, the pooler's output, the mean over each row's tokens, or the logits of
    a classifier of rows, of tokens or of images. `config` is a JSON object of settings that differ from the model's
    own, such as '{"num_hidden_layers": 6}'. `lengths: mixed` pads rows of 1 to `sequence_length` tokens; `fixed` ones
    are full.
    """

    head: Literal[
        "hidden", "pooled", "mean", "sequence_classification", "token_classification", "image_classification"
    ] = "hidden"
    config: str = "{}"
    sequence_length: Annotated[int, msgspec.Meta(ge=1)] = 128
    lengths: Literal["fixed", "mixed"] = "fixed"

    def __post_init__(self) -> None:
        try:
            _changes(self)
        except msgspec.DecodeError as error:
            raise ValueError(f"config is not a JSON object such as '{{\"num_hidden_layers\": 6}}': {error}") from error


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why models cannot be built here, or None."""
    return missing(packages, hw)


def resolve(name: str, folder: Path) -> str:
    """The absolute path of a folder with a config.json; a model type stays as it is."""
    path = folder / name
    if (path / CONFIG).is_file():
        return str(path.resolve())
    if path.is_dir() or "/" in name:
        raise ModelError(
            f"there is no {name}/{CONFIG}; looked for in {folder.resolve()}; nothing is downloaded: "
            "get the model with `hf download REPOSITORY --local-dir FOLDER` and name that folder"
        )
    return name


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """The digests of a folder's configuration, tokenizer, image processor and weights."""
    if not _is_folder(name):
        return ()
    files = [Path(name, CONFIG), *_files(name, TOKENIZER + PROCESSOR), *_weights(name)]
    return tuple((file.name, sha256(file)) for file in files)


def judged(name: str, options: Options) -> bool:
    """Random weights, unlike those of a folder, give outputs that hardly depend on the input."""
    return bool(_weights(name))


def classifies(name: str, options: Options) -> bool:
    """True if the head is a classifier's of rows or images; a single label is a score, as a reranker's."""
    settings = {**_written(name), **_changes(options)}
    labels = settings.get("num_labels", len(settings.get("id2label", DEFAULT_LABELS)))
    return options.head in ("sequence_classification", "image_classification") and labels != 1


def examples(name: str, options: Options, seed: int, samples: int) -> tuple[np.ndarray[Any, Any], ...]:
    """`input_ids` of the vocabulary and `attention_mask`, both int64 of shape (samples, sequence_length).

    Of a model of images, standard normal ones of its own size.
    """
    import numpy as np

    config = _config(name, options)
    if not hasattr(config, "vocab_size") and hasattr(config, "num_channels"):
        size = getattr(config, "image_size", 224)
        sides = (size, size) if isinstance(size, int) else tuple(size)
        shape = (samples, config.num_channels, *sides)
        return (np.random.default_rng([seed, 0]).standard_normal(shape, dtype=np.float32),)
    if not hasattr(config, "vocab_size"):
        raise _other_inputs(name)
    length = _length(name, options, config)
    vocabulary, padding = config.vocab_size, getattr(config, "pad_token_id", None)
    if padding is None or padding not in range(vocabulary):
        padding = 0
    ids = np.random.default_rng([seed, 0]).integers(0, vocabulary, (samples, length))
    ids[ids == padding] = (padding + 1) % vocabulary
    lengths = np.full(samples, length)
    if options.lengths == "mixed":
        lengths = np.random.default_rng([seed, 1]).integers(1, length + 1, samples)
    mask = np.arange(length) < lengths[:, None]
    return np.where(mask, ids, padding), mask.astype(np.int64)


def _length(name: str, options: Options, config: Any) -> int:
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and options.sequence_length > limit:
        raise ModelError(
            f"sequence_length is {options.sequence_length}; transformers:{name} has max_position_embeddings {limit}"
        )
    return options.sequence_length


def texts(name: str, options: Options, lines: Sequence[str]) -> tuple[np.ndarray[Any, Any], ...]:
    """`input_ids` and `attention_mask` by the folder's own tokenizer, cut or padded to `sequence_length` tokens."""
    import numpy as np

    if not _is_folder(name) or not _files(name, TOKENIZER):
        raise ModelError(f"transformers:{name} has no tokenizer of its own; put its files beside {CONFIG}")
    length = _length(name, options, _config(name, options))
    try:
        tokenizer = _import_transformers().AutoTokenizer.from_pretrained(
            name, local_files_only=True, trust_remote_code=False
        )
        tokenizer.padding_side = "right"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        found = tokenizer(list(lines), padding="max_length", truncation=True, max_length=length)
    except Exception as error:
        raise ModelError(f"the tokenizer of {name} cannot be used: {one_line(error)}") from error
    return np.array(found["input_ids"], np.int64), np.array(found["attention_mask"], np.int64)


def images(name: str, options: Options, files: Sequence[Path]) -> tuple[np.ndarray[Any, Any], ...]:
    """`pixel_values` by the folder's own image processor."""
    if not _is_folder(name) or not _files(name, PROCESSOR):
        raise ModelError(f"transformers:{name} has no image processor; put its {PROCESSOR[0]} beside {CONFIG}")
    try:
        processor = _import_transformers().AutoImageProcessor.from_pretrained(
            name, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise ModelError(f"the image processor of {name} cannot be used: {one_line(error)}") from error
    return decoded(files, lambda image: processor(images=image, return_tensors="np")["pixel_values"][0])


def build(name: str, options: Options, seed: int) -> Any:
    """The model in eval mode, its precision its own; ModelError if it cannot be built or has not all its weights."""
    import torch

    config = _config(name, options)
    torch.manual_seed(seed)
    try:
        model, lacking = _loaded(name, options, config)
    except Exception as error:
        raise ModelError(f"transformers:{name} cannot be built: {one_line(error)}") from error
    if options.head != "pooled":
        lacking = [key for key in lacking if not key.startswith("pooler.")]
    if lacking:
        raise ModelError(f"the weights in {name} lack {lacking[0]}, which head {options.head} needs")
    taken = set(inspect.signature(model.forward).parameters)
    pictures = "pixel_values" in taken and "input_ids" not in taken
    if config.is_encoder_decoder or not (pictures or {"input_ids", "attention_mask"} <= taken):
        raise _other_inputs(name)
    if pictures and options.head == "mean":
        raise ModelError(
            f"transformers:{name} takes images, which have no mean over tokens; write head: pooled or hidden"
        )
    if options.head == "pooled" and getattr(model, "pooler", None) is None:
        raise ModelError(f"transformers:{name} has no pooler; write head: mean or hidden")
    if options.head in ("hidden", "mean") and "add_pooling_layer" in inspect.signature(type(model)).parameters:
        # Computed for nothing, and torchao 0.18's x86 quantizer fails on what nothing uses.
        # Deleted first: IPEX fails on a child that is None.
        del model.pooler
        model.pooler = None
    head = options.head
    output = "pooler_output" if head == "pooled" else "logits" if head in CLASSIFIERS else "last_hidden_state"
    made = _encoders.of_images(model, output) if pictures else _encoders.of_texts(model, output, head == "mean")
    return made.eval()


def _other_inputs(name: str) -> ModelError:
    return ModelError(
        f"transformers:{name} is no model of input_ids and attention_mask alone, nor of pixel_values; "
        "write a function that wraps it and use python:FILE:FUNCTION"
    )


def _loaded(name: str, options: Options, config: Any) -> tuple[Any, list[str]]:
    """The model, and which of its weights the folder lacks."""
    transformers = _import_transformers()
    auto = getattr(transformers, CLASSIFIERS.get(options.head, "AutoModel"))
    if not _weights(name):
        return auto.from_config(config), []
    model, report = auto.from_pretrained(
        name, config=config, local_files_only=True, trust_remote_code=False, output_loading_info=True
    )
    return model, sorted(report["missing_keys"])


def _config(name: str, options: Options) -> Any:
    """The configuration of a folder or model type with the changes; ModelError for an unknown type or setting."""
    transformers = _import_transformers()
    own = _written(name)
    kind = own.pop("model_type", name)
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING.keys()
    if kind not in known:
        near = did_you_mean(kind, known)
        hint = near if near.startswith("; did you mean") else "; write one such as mpnet, or a folder with config.json"
        raise ModelError(f"transformers has no model type {kind!r}{hint}")
    changes = _changes(options)
    try:
        untouched = transformers.AutoConfig.for_model(kind, **own)
        config = transformers.AutoConfig.for_model(kind, **{**own, **changes})
    except Exception as error:
        raise ModelError(f"the configuration of transformers:{name} is not legal: {one_line(error)}") from error
    if unknown := [key for key in changes if not hasattr(untouched, key)]:
        raise ModelError(f"a {kind} has no setting {unknown[0]!r}{did_you_mean(unknown[0], untouched.to_dict())}")
    config.use_cache = False
    return config


def _written(name: str) -> dict[str, Any]:
    """What the config.json of a folder says; nothing for a model type."""
    if not _is_folder(name):
        return {}
    try:
        return msgspec.json.decode(Path(name, CONFIG).read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ModelError(f"{name}/{CONFIG} cannot be read: {error}") from error


def _changes(options: Options) -> dict[str, Any]:
    return msgspec.json.decode(options.config, type=dict[str, Any])


def _is_folder(name: str) -> bool:
    return name.startswith("/")


def _weights(name: str) -> list[Path]:
    """The weights of a folder, with the index of those in several files."""
    return _files(name, WEIGHTS) if _is_folder(name) else []


def _files(folder: str, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in Path(folder).glob(pattern)})


@functools.cache
def _import_transformers() -> Any:
    """transformers, which imports torchvision where it finds it, and must not reach for the network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    if importlib.util.find_spec("torchvision"):
        import_torchvision()
    import transformers

    return transformers
