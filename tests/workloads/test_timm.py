from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.results import Status
from autotune.core.workload_spec import WorkloadSpec
from autotune.workloads import timm
from tests.backends import child
from tests.conftest import ExtendedPackage
from tests.study import fakes

CHILD = """
import torch
from safetensors.torch import save_file
from autotune.core.errors import ModelError
from autotune.workloads import timm

def build(name="test_vit", seed=0, weights=None):
    return timm.build(name, timm.Options(weights=weights and str(weights)), seed)

def failure(function, *given, **named):
    try:
        function(*given, **named)
    except ModelError as error:
        return str(error)
    return None

def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))

def images(samples, seed=0, name="test_vit"):
    (found,) = timm.examples(name, timm.Options(), seed, samples)
    return found

plain = build()
told["training"] = plain.training
told["examples"] = [str(images(3).dtype), *images(3).shape]
told["answers"] = list(plain(torch.from_numpy(images(3))).shape)
told["classes"] = [timm.classifies(name, timm.Options()) for name in ("test_vit", "vit_base_patch16_224.dino")]
told["prefix"] = bool((images(3)[:2] == images(2)).all())
told["another seed's images"] = bool((images(2, seed=1) == images(2)).all())
told["large"] = list(images(1, name="vit_base_patch16_384.augreg_in21k_ft_in1k").shape)
told["same seed"] = same(plain, build())
told["other seed"] = same(plain, build(seed=1))
torch.save(plain.state_dict(), folder / "right.pt")
save_file(plain.state_dict(), folder / "right.safetensors")
(folder / "text.safetensors").write_text("these are no weights")
told["loaded"] = [same(plain, build(seed=1, weights=folder / f"right.{kind}")) for kind in ("pt", "safetensors")]
told["other model"] = failure(build, "test_resnet", weights=folder / "right.pt")
told["text"] = failure(build, weights=folder / "text.safetensors")
told["missing"] = failure(build, weights=folder / "missing.safetensors")
told["near"] = [failure(build, "test_vitt"), failure(images, 1, name="test_vitt")]
told["tag"] = failure(build, "resnet18.a9_in1k")
told["far"] = failure(build, "hf-hub:timm/resnet18")

from PIL import Image

files = [folder / f"{number}.png" for number in range(2)]
for file, size in zip(files, ((300, 240), (90, 90))):
    Image.new("RGB", size, (255, 0, 0)).save(file)
(own,) = timm.images("test_vit", timm.Options(), files)
told["images"] = [str(own.dtype), own[:, :, 100, 100].tolist(), list(own.shape)]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("timm")
    return {"folder": str(folder), **child.told(CHILD, folder, "timm", "torchvision", "safetensors")}


def test_a_model_is_ready_to_infer(told: dict[str, Any]) -> None:
    assert not told["training"]
    assert told["answers"] == [3, 1000]


def test_a_model_without_a_head_returns_no_classes(told: dict[str, Any]) -> None:
    assert told["classes"] == [True, False]


def test_examples_have_the_size_that_the_model_was_made_for(told: dict[str, Any]) -> None:
    assert told["examples"] == ["float32", 3, 3, 160, 160]
    assert told["large"] == [1, 3, 384, 384]


def test_the_seed_decides_weights_and_examples(told: dict[str, Any]) -> None:
    assert told["same seed"] and told["prefix"]
    assert not told["other seed"] and not told["another seed's images"]


def test_weights_files_of_both_kinds_are_loaded(told: dict[str, Any]) -> None:
    assert told["loaded"] == [True, True]


def test_wrong_weights_are_said_in_one_line(told: dict[str, Any]) -> None:
    folder = told["folder"]
    assert told["other model"].startswith(f"the weights {folder}/right.pt do not fit timm:test_resnet: Error(s) in ")
    assert told["text"].startswith(f"{folder}/text.safetensors is not a state_dict file; ")
    assert told["missing"].startswith(f"the weights {folder}/missing.safetensors cannot be read: No such file")
    assert "\n" not in told["other model"]


def test_an_unknown_model_or_tag_names_its_neighbours(told: dict[str, Any]) -> None:
    for message in told["near"]:
        assert message.startswith("timm has no model 'test_vitt'; did you mean 'test_vit")
    assert told["tag"].startswith("timm has no model 'resnet18.a9_in1k'; did you mean 'resnet18.")


def test_nothing_is_looked_for_on_a_hub(told: dict[str, Any]) -> None:
    assert told["far"] == "timm has no model 'hf-hub:timm/resnet18'; timm.list_models() names them all"


@pytest.mark.slow
def test_a_model_runs_as_onnx_with_inputs_of_its_own(
    told: dict[str, Any], lab: ExtendedPackage, tmp_path: Path
) -> None:
    (result,) = lab.execute(
        tmp_path, [lab.spec("onnxruntime", {}, workload=WorkloadSpec(model="timm:test_vit", inputs=()))]
    ).results
    assert (result.status, result.error) == (Status.OK, None)
    assert result.fidelity is not None and result.fidelity.max_abs_error < 1e-3
    assert not result.fidelity.judged


def test_weights_decide_what_is_judged_and_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"one")
    weighted = timm.Options(weights=str(tmp_path / "w.pt"))
    before = timm.cache_key("test_vit", weighted)
    (tmp_path / "w.pt").write_bytes(b"another")
    assert timm.cache_key("test_vit", weighted) != before
    assert timm.cache_key("test_vit", timm.Options()) == ()
    assert timm.judged("x", weighted) and not timm.judged("x", timm.Options())


def test_unavailable_names_every_missing_package() -> None:
    bare = msgspec.structs.replace(fakes.machine(), packages={"torch": "1"})
    assert timm.unavailable(timm.Options(), bare) == "torchvision, timm not installed; pip install torchvision timm"


def test_images_are_transformed_as_the_models_configuration_says(told: dict[str, Any]) -> None:
    dtype, colours, shape = told["images"]
    assert (dtype, shape) == ("float32", [2, *told["examples"][2:]])
    assert colours == [[1, -1, -1]] * 2  # mean and deviation 0.5
