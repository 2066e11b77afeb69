from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.backends import torch_eager
from autotune.backends.torch_eager import Options, flatten, unavailable
from tests import machines
from tests.backends import child

TORCH = {"torch": "2.8.0"}

CHILD = """
import torch
from autotune.backends import torch_eager as backend

class Workload:
    def module(self):
        return torch.nn.Conv2d(3, 4, 3)

def loaded(threads=1, **options):
    return backend.load(Workload(), backend.Options(**options), configured("torch_eager", threads), None)

def reason(session, threads=1, **options):
    return backend.applied(session, backend.Options(**options), configured("torch_eager", threads))

class Words:
    def module(self):
        return torch.nn.Linear(8, 8)

words = backend.load(Words(), backend.Options(memory_format="channels_last"), configured("torch_eager"), None)
words(words.convert((np.ones((2, 8), np.float32),)))
told["no images"] = reason(words, memory_format="channels_last")

arrays = (np.ones((2, 3, 8, 8), np.float32), np.arange(2))
plain = loaded()
told["proven"] = reason(plain)
told["threads"] = reason(plain, threads=2)
told["two threads"] = reason(loaded(threads=2), threads=2)
loaded()
told["weights not converted"] = reason(plain, memory_format="channels_last")
last = loaded(memory_format="channels_last")
told["weights converted"] = reason(last, memory_format="channels_last")
image, index = last.convert(arrays)
told["image"] = image.is_contiguous(memory_format=torch.channels_last)
told["plain image"] = plain.convert(arrays)[0].is_contiguous()
told["index"] = [str(index.dtype), index.tolist()]

result = plain(plain.convert(arrays)[:1])
told["gradient"] = result.requires_grad
half = loaded(precision="bfloat16")
half.convert(arrays[:1])
half._bfloat16 = None
told["without autocast"] = reason(half, precision="bfloat16")
half = loaded(precision="bfloat16")
result = half(half.convert(arrays[:1]))
told["half"] = str(result.dtype)
told["half proven"] = reason(half, precision="bfloat16")
told["outputs"] = [str(array.dtype) for array in half.outputs({"a": result, "b": [torch.arange(3)]})]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("eager"), "torch")


@pytest.mark.parametrize("isa", ["amx_bf16", "avx512_bf16", "bf16"])
def test_bfloat16_runs_on_any_processor_that_has_it(isa: str) -> None:
    assert unavailable(Options(precision="bfloat16"), machines.hardware(2, isa=("avx2", isa), packages=TORCH)) is None


def test_bfloat16_is_not_emulated() -> None:
    hw = machines.hardware(2, isa=("avx2", "avx512f", "avx512_vnni"), packages=TORCH)
    assert "this CPU has none" in (unavailable(Options(precision="bfloat16"), hw) or "")
    assert unavailable(Options(memory_format="channels_last"), hw) is None


def test_nothing_is_prepared() -> None:
    hw = machines.hardware(2, packages=TORCH)
    assert torch_eager.cache_key(Options(), child.configured("torch_eager"), hw) is None
    with pytest.raises(AssertionError, match="prepares nothing"):
        torch_eager.prepare(None, Options(), child.configured("torch_eager"), hw, Path(), None)  # type: ignore[arg-type]


class Tensor:
    def detach(self) -> Tensor:
        return self


def test_outputs_are_flattened_depth_first() -> None:
    a, b, c, d = (Tensor() for _ in range(4))
    assert flatten(a) == [a]
    assert flatten({"logits": a, "cache": [(b, c), {"last": d}]}) == [a, b, c, d]
    assert flatten(()) == []
    assert flatten((a, None, {"cache": None}, 3)) == [a]


def test_threads_are_those_of_the_layout(told: dict[str, Any]) -> None:
    assert told["proven"] is told["two threads"] is None
    assert told["threads"] == "torch runs 1 threads, not 2"


def test_channels_last_is_for_weights_and_images(told: dict[str, Any]) -> None:
    assert told["weights not converted"] == "weight weight is not channels_last"
    assert told["weights converted"] is None
    assert told["image"] and told["plain image"]
    assert told["index"] == ["torch.int64", [0, 1]]
    assert told["no images"] == "channels_last needs 4-D inputs; this model has none"


def test_bfloat16_is_computed_and_handed_out_as_float32(told: dict[str, Any]) -> None:
    assert (told["half"], told["half proven"]) == ("torch.bfloat16", None)
    assert told["without autocast"] == "no operation of a call computes in bfloat16"
    assert told["outputs"] == ["float32", "int64"]


def test_no_gradient_is_kept(told: dict[str, Any]) -> None:
    assert told["gradient"] is False
