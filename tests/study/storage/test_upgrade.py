from __future__ import annotations

import msgspec
import pytest

from autotune.core.results import Block
from autotune.core.specs import TrialSpec
from autotune.study.storage import upgrade
from tests.fake_executor import measured
from tests.study.fakes import DOMAINS, WORKLOAD, machine, plain, resolved

HW = machine()


def test_what_an_earlier_version_did_not_know_is_at_its_default() -> None:
    old = msgspec.structs.replace(
        DOMAINS, knobs={"layout": ("1x2",)}, backends={"torch_eager": {"memory_format": ("channels_last",)}}
    )
    space = upgrade.space(resolved(HW, old))
    assert space.domains.knobs["layout"] == ("1x2",)
    assert space.domains.knobs["allocator"] == ("system",)
    assert space.domains.backends == {"torch_eager": {"memory_format": ("channels_last",), "precision": ("float32",)}}


def test_a_trial_has_every_setting_of_today() -> None:
    whole = plain(HW)
    bare = msgspec.structs.replace(whole, knobs={"layout": whole.knobs["layout"]}, options={})
    spec = TrialSpec(id=1, workload=WORKLOAD, config=bare, folder="trials/00001")
    assert upgrade.spec(spec).config == whole
    assert upgrade.result(measured(spec, 5.0)).spec.config == whole


def test_a_metric_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"it names the metrics \['beauty'\]; allowed: throughput"):
        upgrade.space(msgspec.structs.replace(resolved(HW), objective="beauty"))


@pytest.mark.parametrize("items", [0.0, 1e308])
def test_a_measured_block_of_which_nothing_is_a_rate_is_refused(items: float) -> None:
    spec = TrialSpec(id=1, workload=WORKLOAD, config=plain(HW), folder="trials/00001")
    block = Block(start_ns=0, elapsed_ns=1, items=items, calls=0, cpu_ns=0)
    with pytest.raises(ValueError, match="a measured block has no rate"):
        upgrade.result(msgspec.structs.replace(measured(spec, 5.0), blocks=(block,)))


def test_an_option_without_a_value_is_refused() -> None:
    space = resolved(HW)
    backends = {"torch_eager": {"memory_format": ()}}
    with pytest.raises(ValueError, match="option memory_format of torch_eager has no value"):
        upgrade.space(msgspec.structs.replace(space, domains=msgspec.structs.replace(space.domains, backends=backends)))
