from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import ModelError
from autotune.workloads import transformers
from tests.study import fakes

# -------------------------------------------------------------------------------------------- without building anything


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "mpnet"}')
    return tmp_path


def test_a_folder_is_found_beside_the_space_file(folder: Path) -> None:
    assert transformers.resolve("model", folder) == str(folder / "model")
    assert transformers.resolve("mpnet", folder) == "mpnet"


def test_a_name_on_a_hub_is_refused_with_the_remedy(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no sentence-transformers/x/config\.json; .*`hf download"):
        transformers.resolve("sentence-transformers/x", folder)
    (folder / "empty").mkdir()
    with pytest.raises(ModelError, match=r"there is no empty/config\.json"):
        transformers.resolve("empty", folder)


def test_configuration_and_weights_are_the_key(folder: Path) -> None:
    name, options = str(folder / "model"), transformers.Options()
    keys = [transformers.cache_key(name, options)]
    for file in ("model.safetensors", "pytorch_model.bin", "config.json"):
        (folder / "model" / file).write_text(f'{{"model_type": "bert", "is": "{file}"}}')
        keys.append(transformers.cache_key(name, options))
    (folder / "model" / "README.md").write_text("a model")
    assert len({msgspec.json.encode(key) for key in keys}) == 4
    assert transformers.cache_key(name, options) == keys[-1]
    assert transformers.cache_key("mpnet", options) == ()


def test_only_a_folders_weights_are_judged(folder: Path) -> None:
    name, options = str(folder / "model"), transformers.Options()
    assert not transformers.judged("mpnet", options)
    assert not transformers.judged(name, options)
    (folder / "model" / "model.safetensors").touch()
    assert transformers.judged(name, options)


@pytest.mark.parametrize(
    ("own", "config", "classes"),
    [
        ("{}", "{}", True),
        ('{"id2label": {"0": "score"}}', "{}", False),
        ('{"id2label": {"0": "score"}}', '{"num_labels": 3}', True),
        ("{}", '{"num_labels": 1}', False),
    ],
)
def test_a_single_label_is_no_class(folder: Path, own: str, config: str, classes: bool) -> None:
    (folder / "model" / "config.json").write_text(own)
    options = transformers.Options(head="sequence_classification", config=config)
    assert transformers.classifies(str(folder / "model"), options) is classes
    assert not transformers.classifies("bert", msgspec.structs.replace(options, head="token_classification"))


@pytest.mark.parametrize("config", ["", "[]", "{", '"text"'])
def test_a_config_that_is_no_json_object_is_refused(config: str) -> None:
    with pytest.raises(
        msgspec.ValidationError, match=r"config is not a JSON object such as '{\"num_hidden_layers\": 6}'"
    ):
        msgspec.convert({"config": config}, transformers.Options)


def test_unavailable_without_its_packages() -> None:
    assert transformers.unavailable(transformers.Options(), fakes.machine()) == (
        "transformers not installed; pip install transformers"
    )
