from __future__ import annotations

import pytest

from autotune.core.config import Config
from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.study.search.nearest import nearest
from tests.study.fakes import DOMAINS, machine, resolved

HW = machine()


def fit(
    backend: str = "torch_eager",
    domains: Domains = DOMAINS,
    batch_size: int = 8,
    options: dict[str, Value] | None = None,
    **knobs: Value,
) -> Config | None:
    return nearest(
        resolved(HW, domains), HW, backend=backend, batch_size=batch_size, options=options or {}, knobs=knobs
    )


@pytest.mark.parametrize(("wanted", "got"), [(8, 8), (7, 8), (1000, 16), (0, 1)])
def test_a_batch_size_is_the_nearest(wanted: int, got: int) -> None:
    found = fit(batch_size=wanted)
    assert found is not None and found.workload.batch_size == got


def test_a_number_is_the_nearest_and_a_name_the_baselines_or_the_first() -> None:
    domains = Domains(
        batch_size=(8,),
        knobs={"allocator": ("tcmalloc", "system"), "primitive_cache": (0, 512), "openmp": ("gnu",)},
        backends={"torch_eager": {"memory_format": ("channels_last", "contiguous")}, "openvino": {"streams": (1, 2)}},
    )
    found = fit(domains=domains, options={"memory_format": "unknown"}, allocator="mimalloc", primitive_cache=1024)
    assert found is not None
    assert found.knobs["allocator"] == "system"  # the baseline's, which is not the first
    assert found.knobs["primitive_cache"] == 512
    assert found.options["memory_format"] == "channels_last"
    streams = fit("openvino", domains, options={"streams": 4, "requests": 4}, layout="1x2")
    assert streams is None  # two streams of one request: the space has no more requests


def test_truth_is_no_number() -> None:
    domains = Domains(batch_size=(1,), knobs={}, backends={"torch_compile": {"freezing": (True,)}})
    found = fit("torch_compile", domains, options={"freezing": False})
    assert found is not None and found.options["freezing"] is True


def test_another_backend_and_what_cannot_run_here_are_not_to_be_had() -> None:
    assert fit("ipex") is None
    domains = Domains(batch_size=(1,), knobs={}, backends={"torch_eager": {"precision": ("bfloat16",)}})
    assert fit(domains=domains) is None
