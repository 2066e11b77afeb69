from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.errors import ModelError
from autotune.core.results import Status
from autotune.core.workload_spec import WorkloadSpec
from autotune.workloads import transformers
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.study import fakes

CHILD = """
import copy
import torch
from autotune.core.errors import ModelError
from autotune.workloads import transformers as provider

TINY = json.dumps({"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "vocab_size": 100})
told["tiny"] = TINY

def options(config=TINY, **given):
    return provider.Options(config=config, sequence_length=16, **given)

def answer(name, seed=0, **given):
    arrays = provider.examples(name, options(**given), 0, 4)
    model = provider.build(name, options(**given), seed)
    with torch.inference_mode():
        return model(*map(torch.from_numpy, arrays)), model

def failure(name, **given):
    try:
        answer(name, **given)
    except ModelError as error:
        return str(error)
    return None

def failure_in(function, *given):
    try:
        function(*given)
    except ModelError as error:
        return str(error)
    return None

def failure_of(name):
    try:
        provider.texts(name, options("{}"), ["red"])
    except ModelError as error:
        return str(error)
    return None

for lengths in ("fixed", "mixed"):
    ids, mask = provider.examples("mpnet", options(lengths=lengths), 0, 20)
    fewer = provider.examples("mpnet", options(lengths=lengths), 0, 2)
    told[lengths] = {
        "like": [str(ids.dtype), str(mask.dtype), *ids.shape, *mask.shape],
        "lengths": mask.sum(1).tolist(),
        "padded right": bool((mask == (np.arange(16) < mask.sum(1)[:, None])).all()),
        "padding": bool(((ids == 1) == (mask == 0)).all()),
        "vocabulary": [int(ids.min()), int(ids.max())],
        "prefix": bool((ids[:2] == fewer[0]).all() and (mask[:2] == fewer[1]).all()),
    }
    other, _ = provider.examples("mpnet", options(lengths=lengths), 1, 20)
    told[lengths]["other seed"] = bool((other == ids).all())

found, model = answer("mpnet", head="hidden", lengths="mixed")
told["training"], told["dtype"] = model.training, str(found.dtype)
heads = ("hidden", "pooled", "mean", "sequence_classification", "token_classification")
told["shapes"] = {head: list(answer("mpnet", head=head)[0].shape) for head in heads}
_, mask = map(torch.from_numpy, provider.examples("mpnet", options(lengths="mixed"), 0, 4))
mean = torch.stack([row[: int(mask[i].sum())].mean(0) for i, row in enumerate(found)])
told["poolers"] = {head: answer("mpnet", head=head)[1].model.pooler is not None for head in heads[:3]}
told["empty"] = [name for name, part in answer("mpnet", head="mean")[1].model._modules.items() if part is None]
told["mean"] = torch.allclose(answer("mpnet", head="mean", lengths="mixed")[0], mean, atol=1e-6)
ids, mask = map(torch.from_numpy, provider.examples("mpnet", options(lengths="mixed"), 0, 4))
told["mask is used"] = not torch.allclose(model(ids, torch.ones_like(mask)), found, atol=1e-4)
told["same seed"] = torch.equal(found, answer("mpnet", lengths="mixed")[0])
told["other seed"] = torch.equal(found, answer("mpnet", seed=1, lengths="mixed")[0])
told["decoder"] = list(answer("gpt2", head="mean", config='{"n_layer": 1, "n_embd": 32, "n_head": 2}')[0].shape)
config = provider._config("mpnet", provider.Options())
told["base"] = [config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size]

for name in ("own", "half", "bare"):
    path = folder / name
    (copy.deepcopy(model.model).bfloat16() if name == "half" else model.model).save_pretrained(path)
(folder / "bare" / "model.safetensors").unlink()
own = str(folder / "own")
loaded = {
    name: answer(str(folder / name), seed=7, lengths="mixed", config="{}")[0] for name in ("own", "half", "bare")
}
told["loaded"] = torch.equal(loaded["own"], found)
told["half"] = [str(loaded["half"].dtype), torch.allclose(loaded["half"].float(), found, atol=0.05)]
told["bare"] = torch.allclose(loaded["bare"].float(), found, atol=0.05)
torch.save(model.model.state_dict(), folder / "bare" / "pytorch_model.bin")
told["bin"] = torch.equal(answer(str(folder / "bare"), lengths="mixed", config="{}")[0], found)
told["lacking"] = failure(own, config="{}", head="sequence_classification")
told["fewer layers"] = list(answer(own, config='{"num_hidden_layers": 1}')[0].shape)
told["wrong size"] = failure(own, config='{"hidden_size": 64}')
(folder / "half" / "model.safetensors").write_text("these are no weights")
told["damaged"] = failure(str(folder / "half"), config="{}")
(folder / "half" / "config.json").write_text('{"model_type": ')
told["no json"] = failure(str(folder / "half"), config="{}")
(folder / "half" / "config.json").write_text('{"model_type": "of_their_own", "auto_map": {"AutoModel": "m.Model"}}')
told["own code"] = failure(str(folder / "half"), config="{}")

told["near"] = failure("mpnett")
told["far"] = failure("frobnicate")
told["setting"] = failure("mpnet", config='{"num_hidden_layer": 2}')
told["kind"] = failure("mpnet", config='{"num_hidden_layers": "two"}')
told["too long"] = failure("mpnet", config='{"max_position_embeddings": 8}')
told["other inputs"] = failure("audio-spectrogram-transformer", config="{}")

VIT = json.dumps({"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32,
    "image_size": 32, "patch_size": 16})
told["images"] = {
    head: list(answer("vit", head=head, config=VIT)[0].shape) for head in ("hidden", "pooled", "image_classification")
}
told["mean of images"] = failure("vit", config=VIT, head="mean")
answer("vit", head="image_classification", config=VIT)[1].model.save_pretrained(folder / "vit")
told["no processor"] = failure_in(provider.images, str(folder / "vit"), options("{}"), [])
provider._import_transformers().ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "vit")
from PIL import Image
Image.new("RGB", (90, 60), (255, 0, 0)).save(folder / "red.png")
(red,) = provider.images(str(folder / "vit"), options("{}"), [folder / "red.png"] * 2)
told["red"] = [str(red.dtype), list(red.shape), red[0, :, 5, 5].tolist()]
told["two halves"] = failure("t5", config='{"d_model": 32, "num_layers": 1, "num_heads": 2}')
told["no pooler"] = failure("distilbert", config='{"n_layers": 1, "dim": 32, "n_heads": 2}', head="pooled")
from tokenizers import Tokenizer, models, pre_tokenizers
import transformers

words = Tokenizer(models.WordLevel({"[PAD]": 1, "[UNK]": 3, "red": 5, "fish": 6, "blue": 7}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
key = provider.cache_key(own, options("{}"))
told["no tokenizer"] = [failure_of(name) for name in (own, "mpnet")]
fast.save_pretrained(own)
told["key"] = key == provider.cache_key(own, options("{}"))
short = provider.Options(sequence_length=3)
told["texts"] = [array.tolist() for array in provider.texts(own, short, ["red fish", "one red fish, blue", "fish"])]
(folder / "own" / "tokenizer.json").write_text("{")
told["damaged tokenizer"] = failure_of(own)

told["offline"] = __import__("huggingface_hub").constants.HF_HUB_OFFLINE
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("transformers")
    return {"folder": str(folder), **child.told(CHILD, folder, "transformers", "torch")}


# --------------------------------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize("lengths", ["fixed", "mixed"])
def test_inputs_are_tokens_and_their_mask(told: dict[str, Any], lengths: str) -> None:
    found = told[lengths]
    assert found["like"] == ["int64", "int64", 20, 16, 20, 16]
    assert found["padded right"] and found["padding"]
    low, high = found["vocabulary"]
    assert 0 <= low < high < 100
    assert found["prefix"] and not found["other seed"]


def test_lengths_are_full_or_vary(told: dict[str, Any]) -> None:
    assert set(told["fixed"]["lengths"]) == {16}
    assert len(set(told["mixed"]["lengths"])) > 5
    assert min(told["mixed"]["lengths"]) >= 1


def test_a_sequence_that_is_too_long_is_refused(told: dict[str, Any]) -> None:
    assert told["too long"] == "sequence_length is 16; transformers:mpnet has max_position_embeddings 8"


def test_texts_are_the_tokens_of_the_folders_own_tokenizer(told: dict[str, Any]) -> None:
    assert told["texts"] == [[[5, 6, 1], [3, 5, 6], [6, 1, 1]], [[1, 1, 0], [1, 1, 1], [1, 0, 0]]]
    assert not told["key"]  # another tokenizer, other inputs


def test_a_tokenizer_that_is_not_there_is_said(told: dict[str, Any]) -> None:
    hint = "has no tokenizer of its own; put its files beside config.json"
    assert told["no tokenizer"] == [f"transformers:{name} {hint}" for name in (f"{told['folder']}/own", "mpnet")]
    assert told["damaged tokenizer"].startswith(f"the tokenizer of {told['folder']}/own cannot be used: ")
    assert "\n" not in told["damaged tokenizer"]


def test_models_of_images_take_what_the_folders_own_processor_makes(told: dict[str, Any]) -> None:
    assert told["images"] == {"hidden": [4, 5, 16], "pooled": [4, 16], "image_classification": [4, 2]}
    assert told["red"] == ["float32", [2, 3, 32, 32], [1, -1, -1]]
    assert told["no processor"] == (
        f"transformers:{told['folder']}/vit has no image processor; put its preprocessor_config.json beside config.json"
    )
    assert told["mean of images"] == (
        "transformers:vit takes images, which have no mean over tokens; write head: pooled or hidden"
    )


# ---------------------------------------------------------------------------------------------------- random weights


def test_mpnet_is_mpnet_base(told: dict[str, Any]) -> None:
    assert told["base"] == [12, 768, 12, 3072]


def test_each_head_returns_one_tensor(told: dict[str, Any]) -> None:
    assert told["shapes"] == {
        "hidden": [4, 16, 32],
        "pooled": [4, 32],
        "mean": [4, 32],
        "sequence_classification": [4, 2],
        "token_classification": [4, 16, 2],
    }
    assert told["decoder"] == [4, 32]


def test_the_mean_is_over_a_rows_own_tokens(told: dict[str, Any]) -> None:
    assert told["mean"]


def test_a_pooler_is_there_where_its_output_is(told: dict[str, Any]) -> None:
    assert told["poolers"] == {"hidden": False, "pooled": True, "mean": False}
    assert told["empty"] == []  # IPEX fails on a child that is None


def test_the_mask_reaches_the_model(told: dict[str, Any]) -> None:
    assert told["mask is used"]


def test_the_model_is_ready_to_infer(told: dict[str, Any]) -> None:
    assert (told["training"], told["dtype"]) == (False, "torch.float32")


def test_the_seed_decides_the_weights(told: dict[str, Any]) -> None:
    assert told["same seed"]
    assert not told["other seed"]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("near", "transformers has no model type 'mpnett'; did you mean 'mpnet'"),
        ("far", "transformers has no model type 'frobnicate'; write one such as mpnet, or a folder with config.json"),
        ("setting", "a mpnet has no setting 'num_hidden_layer'; did you mean 'num_hidden_layers'"),
        ("kind", "the configuration of transformers:mpnet is not legal: "),
        (
            "other inputs",
            "transformers:audio-spectrogram-transformer is no model of input_ids and attention_mask alone, nor of pix",
        ),
        ("two halves", "transformers:t5 is no model of input_ids and attention_mask alone, nor of pixel_values; w"),
        ("no pooler", "transformers:distilbert has no pooler; write head: mean or hidden"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(told: dict[str, Any], case: str, message: str) -> None:
    assert told[case].startswith(message)
    assert "\n" not in told[case]


# ---------------------------------------------------------------------------------------------------------- folders


def test_a_folders_weights_are_loaded_in_their_own_precision(told: dict[str, Any]) -> None:
    assert told["loaded"] and told["bin"]
    assert told["half"] == ["torch.bfloat16", True]


def test_a_folder_without_weights_is_random(told: dict[str, Any]) -> None:
    assert not told["bare"]


def test_a_folders_configuration_can_be_changed(told: dict[str, Any]) -> None:
    assert told["fewer layers"] == [4, 16, 32]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("lacking", "the weights in {}/own lack classifier.dense.bias, which head sequence_classification needs"),
        ("wrong size", "transformers:{}/own cannot be built: "),
        ("damaged", "transformers:{}/half cannot be built: "),
        ("no json", "{}/half/config.json cannot be read: "),
        ("own code", "transformers has no model type 'of_their_own'; "),
    ],
)
def test_a_folder_that_cannot_be_used_is_said_in_one_line(told: dict[str, Any], case: str, message: str) -> None:
    assert told[case].startswith(message.format(told["folder"]))
    assert "\n" not in told[case]


def test_the_network_is_out_of_reach(told: dict[str, Any]) -> None:
    assert told["offline"]


# ------------------------------------------------------------------------------------------------- from end to end


@pytest.mark.slow
def test_mixed_lengths_run_from_end_to_end(told: dict[str, Any], lab: ExtendedPackage, tmp_path: Path) -> None:
    workload = WorkloadSpec(
        model="transformers:mpnet",
        inputs=(),
        options={"config": told["tiny"], "sequence_length": 16, "lengths": "mixed", "head": "mean"},
    )
    backends = ("torch_eager", "onnxruntime")
    specs = [lab.spec(backend, {}, workload=workload, trial=trial) for trial, backend in enumerate(backends)]
    for result in lab.execute(tmp_path, specs).results:
        assert (result.status, result.error) == (Status.OK, None)
        assert result.fidelity is not None and result.fidelity.centred_error is not None
        assert result.fidelity.centred_error < 1e-8


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
