from pathlib import Path

import pytest

from autotune.hardware.probe import probe
from autotune.knobs import primitive_cache
from tests.backends.child import configured, told
from tests.machines import hardware

HERE = probe()
X86, ARM = hardware(2), hardware(2, architecture="aarch64")


def test_what_torch_does_of_itself_is_not_measured_twice() -> None:
    assert primitive_cache.domain(X86) == (0, 1)
    assert primitive_cache.domain(ARM) == (0, 1024)
    assert primitive_cache.unavailable(1024, X86) == "torch keeps 1024 of itself on x86_64; write 0"
    assert primitive_cache.unavailable(1, ARM) == "torch keeps 1 of itself on aarch64; write 0"
    assert primitive_cache.unavailable(4096, X86) is None


def test_launch() -> None:
    assert primitive_cache.launch(0, ARM).env == {}
    assert primitive_cache.launch(1024, ARM).env == {"LRU_CACHE_CAPACITY": "1024"}


def test_only_torch_has_one() -> None:
    assert primitive_cache.without_effect(1, configured("torch_eager"), ("torch",)) is None
    assert primitive_cache.without_effect(0, configured("openvino"), ("openvino",)) is None
    assert "without torch" in (primitive_cache.without_effect(1, configured("openvino"), ("openvino",)) or "")


CHILD = """
from autotune.knobs import primitive_cache
told.update({str(value): primitive_cache.applied(value, None) for value in (0, 1, 1024)})
"""


@pytest.mark.parametrize("value", [0, 1, 1024])
def test_applied_in_a_child(tmp_path: Path, value: int) -> None:
    found = told(CHILD, tmp_path, env=primitive_cache.launch(value, HERE).env)
    assert [name for name, reason in found.items() if reason is None] == [str(value)]


CONVOLUTIONS = """
import torch
for size in (8, 9, 8):
    told[str(size)] = torch.mkldnn_convolution(
        torch.ones(1, 16, size, size), torch.ones(16, 16, 1, 1), None, (0, 0), (1, 1), (1, 1), 1
    ).sum().item()
"""


def test_torch_reads_it(tmp_path: Path) -> None:
    """It runs with room for one primitive; that it refuses or dies of room for none shows that it listens."""
    assert told(CONVOLUTIONS, tmp_path, "torch", env={"LRU_CACHE_CAPACITY": "1"})["9"] == 81 * 16 * 16
    with pytest.raises(AssertionError):
        told(CONVOLUTIONS, tmp_path, "torch", env={"LRU_CACHE_CAPACITY": "0"})
