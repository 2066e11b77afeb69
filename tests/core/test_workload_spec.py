from __future__ import annotations

import msgspec

from autotune.core.workload_spec import InputSpec, WorkloadSpec

WORKLOAD = WorkloadSpec(
    model="torchvision:resnet50",
    inputs=(InputSpec(shape=("batch", 3, 224, 224)), InputSpec(shape=("batch", 8), dtype="int64", high=100)),
    options={"weights": None},
)


def test_a_model_is_a_provider_and_what_it_calls_the_model() -> None:
    assert (WORKLOAD.provider, WORKLOAD.name) == ("torchvision", "resnet50")
    local = msgspec.structs.replace(WORKLOAD, model="files:a:b")
    assert (local.provider, local.name) == ("files", "a:b")
