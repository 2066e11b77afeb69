from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.errors import ModelError
from autotune.core.machine import Hardware
from autotune.workloads import torchvision
from tests import fake_hardware
from tests.study import fakes

NAME = "squeezenet1_1"

# One child for all tests: importing torch and torchvision takes seconds.
CHILD = """
import json, sys
from pathlib import Path
import torch
from autotune.core.errors import ModelError
from autotune.workloads import torchvision

folder, told = Path(sys.argv[1]), {}

def build(name="squeezenet1_1", seed=0, weights=None):
    return torchvision.build(name, torchvision.Options(weights=weights and str(weights)), seed)

def failure(**given):
    try:
        build(**given)
    except ModelError as error:
        return str(error)
    return None

def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))

plain = build()
told["training"] = plain.training
told["shape"] = list(plain(torch.zeros(2, 3, 32, 32)).shape)
told["parts"] = list(build("lraspp_mobilenet_v3_large")(torch.zeros(2, 3, 32, 32))["out"].shape)
told["nms"] = hasattr(torch.ops.torchvision, "nms")
told["same seed"] = same(plain, build())
told["other seed"] = same(plain, build(seed=1))

torch.save(plain.state_dict(), folder / "right.pt")
told["loaded"] = same(plain, build(seed=1, weights=folder / "right.pt"))
told["other model"] = failure(weights=folder / "right.pt", name="resnet18")
(folder / "text.pt").write_text("these are no weights")
told["text"] = failure(weights=folder / "text.pt")
told["missing"] = failure(weights=folder / "missing.pt")
torch.save(plain, folder / "module.pt")
told["module"] = failure(weights=folder / "module.pt")
told["near"] = failure(name="squeezenet1_2")
told["far"] = failure(name="frobnicate")

from PIL import Image

files = [folder / "wide.png", folder / "grey.jpg"]
Image.new("RGB", (300, 240), (255, 0, 0)).save(files[0])
Image.new("L", (240, 300), 255).save(files[1])
(folder / "text.png").write_text("this is no image")

def images(files, name="squeezenet1_1"):
    try:
        (found,) = torchvision.images(name, torchvision.Options(), files)
        return [str(found.dtype), list(found.shape), [round(float(value), 2) for value in found[0, :, 100, 100]]]
    except ModelError as error:
        return str(error)

told["images"] = images(files)
told["no image"] = images([*files, folder / "text.png"])
told["sizes"] = images(files, "fasterrcnn_resnet50_fpn")
told["no transform"] = images(files, "frobnicate")
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcomes of building models in a child."""
    if find_spec("torchvision") is None:
        pytest.skip("needs torchvision")
    folder = tmp_path_factory.mktemp("weights")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, folder],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {"folder": str(folder), **json.loads(done.stdout)}


def test_a_model_runs_although_its_compiled_operators_may_not_load(told: dict[str, Any]) -> None:
    assert told["shape"] == [2, 1000]
    assert told["nms"]


def test_a_backbones_weights_are_not_downloaded(told: dict[str, Any]) -> None:
    assert told["parts"] == [2, 21, 32, 32]


def test_a_model_is_ready_to_infer(told: dict[str, Any]) -> None:
    assert not told["training"]


def test_the_seed_decides_the_weights(told: dict[str, Any]) -> None:
    assert told["same seed"]
    assert not told["other seed"]


def test_a_weights_file_is_loaded(told: dict[str, Any]) -> None:
    assert told["loaded"]


def test_an_unknown_model_names_its_neighbours(told: dict[str, Any]) -> None:
    assert told["near"].startswith("torchvision has no model 'squeezenet1_2'; did you mean ")
    assert "'squeezenet1_1'" in told["near"]
    assert "\n" not in told["near"]


def test_a_model_with_no_neighbours_names_all(told: dict[str, Any]) -> None:
    assert told["far"].startswith("torchvision has no model 'frobnicate'; allowed: alexnet, ")


@pytest.mark.parametrize(
    ("case", "file", "why"),
    [
        ("other model", "right.pt", "the weights {} do not fit torchvision:resnet18: .*Missing key.s. in state_dict.*"),
        ("text", "text.pt", "{} is not a state_dict file; .*"),
        ("missing", "missing.pt", "the weights {} cannot be read: No such file or directory"),
        ("module", "module.pt", "{} is not a state_dict file; .*"),  # unpickling it could run anything
    ],
)
def test_a_wrong_weights_file_is_said_in_one_line(told: dict[str, Any], case: str, file: str, why: str) -> None:
    assert re.fullmatch(why.format(re.escape(f"{told['folder']}/{file}")), told[case])


def test_images_are_those_that_the_models_weights_were_evaluated_on(told: dict[str, Any]) -> None:
    assert told["images"] == ["float32", [2, 3, 224, 224], [2.25, -2.04, -1.8]]  # red, normalised as ImageNet


def test_an_image_that_cannot_be_used_is_said_in_one_line(told: dict[str, Any]) -> None:
    assert told["no image"].startswith(f"the image {told['folder']}/text.png cannot be read: ")
    assert told["sizes"] == (
        "the model's transform gives wide.png the shape (3, 240, 300) and grey.jpg (3, 300, 240); "
        "write a function that returns images of one size"
    )
    assert told["no transform"] == "torchvision has no transform of frobnicate; write a function that returns arrays"


# ------------------------------------------------------------------------------------------- without building anything


def test_only_given_weights_are_judged() -> None:
    assert torchvision.judged("x", torchvision.Options(weights="w.pt"))
    assert not torchvision.judged("x", torchvision.Options())


def test_random_weights_need_no_key() -> None:
    assert torchvision.cache_key(NAME, torchvision.Options()) == ()


def test_the_key_is_the_content_of_the_weights(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (torchvision.cache_key(NAME, torchvision.Options(weights=str(tmp_path / name))) for name in "abc")
    assert a == b != c


def test_weights_that_are_missing_are_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        torchvision.cache_key(NAME, torchvision.Options(weights=str(tmp_path / "missing.pt")))
    assert str(caught.value) == f"the weights {tmp_path / 'missing.pt'} cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ((), None),
        (("torchvision",), "torchvision not installed; pip install torchvision"),
        (("torch", "torchvision"), "torch, torchvision not installed; pip install torch torchvision"),
    ],
)
def test_unavailable_without_its_packages(missing: tuple[str, ...], reason: str | None) -> None:
    installed = {name: version for name, version in fake_hardware.PACKAGES.items() if name not in missing}
    hw: Hardware = msgspec.structs.replace(fakes.machine(), packages=installed)
    assert torchvision.unavailable(torchvision.Options(), hw) == reason
