from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.core.results import Status
from autotune.core.workload_spec import WorkloadSpec
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.workloads.transformers_child import CHILD


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
