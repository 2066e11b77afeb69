from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.space_types import Budget
from autotune.core.types import (
    Config,
    InputSpec,
    InterleavedSpec,
    Layout,
    TrialSpec,
    Value,
    WorkloadSettings,
    WorkloadSpec,
    digest,
)
from tests import machines

CONFIG = Config(
    workload=WorkloadSettings(batch_size=4),
    backend="torch_compile",
    options={"precision": "float32", "freezing": True},
    knobs={"layout": "2x1", "allocator": "system"},
)
WORKLOAD = WorkloadSpec(
    model="torchvision:resnet50",
    inputs=(InputSpec(shape=("batch", 3, 224, 224)), InputSpec(shape=("batch", 8), dtype="int64", high=100)),
    options={"weights": None},
)

# ------------------------------------------------------------------------------------------------------- structs


@pytest.mark.parametrize(
    ("architecture", "isa", "saturates"),
    [
        ("x86_64", ("avx2",), True),
        ("x86_64", ("avx2", "avx512f"), True),
        ("x86_64", ("avx2", "avx_vnni"), False),
        ("x86_64", ("avx2", "avx512f", "avx512_vnni"), False),
        ("aarch64", ("asimd",), False),
    ],
)
def test_sums_of_bytes_saturate_on_x86_without_vnni(architecture: str, isa: tuple[str, ...], saturates: bool) -> None:
    assert machines.hardware(1, architecture=architecture, isa=isa).saturates is saturates


@pytest.mark.parametrize(
    "spec",
    [
        TrialSpec(id=3, workload=WORKLOAD, config=CONFIG, folder="trials/00003"),
        InterleavedSpec(
            number=1, workload=WORKLOAD, configs={"a": CONFIG}, rounds=8, order="a", folder="s", limit_s=0.5
        ),
    ],
)
def test_what_is_asked_for_survives_json(spec: TrialSpec | InterleavedSpec) -> None:
    assert msgspec.json.decode(msgspec.json.encode(spec), type=type(spec)) == spec


def test_an_unknown_field_is_refused_wherever_it_stands() -> None:
    good = msgspec.to_builtins(CONFIG)
    assert msgspec.convert(good, Config) == CONFIG
    for wrong in (good | {"thread": 1}, good | {"workload": {"batch_size": 4, "batchsize": 4}}):
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.convert(wrong, Config)


def test_structs_are_frozen() -> None:
    budget: Any = Budget(trials=3)
    with pytest.raises(AttributeError):
        budget.trials = 4


def test_a_model_is_a_provider_and_what_it_calls_the_model() -> None:
    assert (WORKLOAD.provider, WORKLOAD.name) == ("torchvision", "resnet50")
    local = msgspec.structs.replace(WORKLOAD, model="files:a:b")
    assert (local.provider, local.name) == ("files", "a:b")


# -------------------------------------------------------------------------------------------------------- layout


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_layout_is_what_it_is_written_as(workers: int, threads: int) -> None:
    layout = Layout(workers=workers, threads=threads)
    assert Layout.parse(str(layout)) == layout


@pytest.mark.parametrize(
    "text", ["", "x", "2", "2x", "x1", "0x1", "2x0", "-2x1", "+2x1", "2X1", "2x1x1", "2 x 1", "²x1"]
)
def test_what_is_no_layout_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="a layout is written WORKERSxTHREADS") as caught:
        Layout.parse(text)
    assert repr(text) in str(caught.value)


def test_a_configurations_layout_is_its_knob() -> None:
    assert CONFIG.layout == Layout(workers=2, threads=1)


# ---------------------------------------------------------------------------------------------------------- keys

values = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.dictionaries(st.text(), values, max_size=5), st.randoms())
def test_a_key_does_not_depend_on_the_order_of_names(options: dict[str, Value], random: Any) -> None:
    names = list(options)
    random.shuffle(names)
    shuffled = {name: options[name] for name in names}
    one, other = (msgspec.structs.replace(CONFIG, options=given, knobs=given) for given in (options, shuffled))
    assert one.key == other.key
    assert len({one, other}) == 1


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_configuration_read_back_has_its_key(options: dict[str, Value]) -> None:
    config = msgspec.structs.replace(CONFIG, options=options)
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config).key == config.key


def test_another_configuration_has_another_key() -> None:
    configs = [
        CONFIG,
        *(msgspec.structs.replace(CONFIG, options={"x": value}) for value in (True, 1, 1.0, "1", "true", 2)),
        msgspec.structs.replace(CONFIG, options={}, knobs={"x": 2}),
        msgspec.structs.replace(CONFIG, backend="torch_eager"),
        msgspec.structs.replace(CONFIG, workload=WorkloadSettings(batch_size=5)),
    ]
    assert len({config.key for config in configs}) == len(configs)


def test_digests_stay_as_they_are() -> None:
    """Studies and caches are found by them; a change here is a new `FORMAT`."""
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert CONFIG.key == "3aa29334df28c7050ac1233f75196c9f2ee5fa1b848e0199334e3b566f7a35c1"


# ------------------------------------------------------------------------------------------------------ hardware


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (0.5, 1), (1.0, 1), (1.5, 2), (4.0, 4), (64.0, 4)])
def test_a_quota_leaves_as_many_cores_as_it_can_keep_busy(quota: float | None, cores: int) -> None:
    assert len(machines.hardware(2, 2, smt=2, quota=quota).cores) == cores


def test_a_cores_first_allowed_thread_stands_for_it() -> None:
    hw = msgspec.structs.replace(machines.hardware(2, 2, smt=2), allowed_cpus=(1, 3, 4, 5))
    assert [(cpu.id, cpu.core) for cpu in hw.cores] == [(4, 0), (1, 1), (3, 3)]


@pytest.mark.parametrize(("limit", "usable"), [(None, 2**34), (2**30, 2**30), (2**40, 2**34)])
def test_usable_memory_is_the_smaller(limit: int | None, usable: int) -> None:
    assert machines.hardware(2, memory_limit_bytes=limit).usable_memory_bytes == usable


SAME_TYPE = [
    {"kernel": "6.1"},
    {"packages": {"torch": "2.8"}},
    {"libraries": {"tcmalloc": "/usr/lib/libtcmalloc.so.4"}},
    {"huge_page_mode": "never"},
    {"memory_bytes": 2**34 - 2**26},
]
OTHER_TYPES = [
    {"cpu_model": "Other"},
    {"architecture": "aarch64"},
    {"isa": ("avx2",)},
    {"smt": 2},
    {"quota": 1.5},
    {"memory_bytes": 2**33},
    {"instance_type": "c7i.large"},
]


def test_a_fingerprint_is_of_the_type_and_not_of_what_is_installed() -> None:
    same, others = ([machines.hardware(2, **changes) for changes in kind] for kind in (SAME_TYPE, OTHER_TYPES))
    first = machines.hardware(2).fingerprint
    assert {hw.fingerprint for hw in same} == {first}
    assert len({first, *(hw.fingerprint for hw in others)}) == 1 + len(others)
    halved = (machines.hardware(2, **{name: 2**33}) for name in ("memory_bytes", "memory_limit_bytes"))
    assert len({hw.fingerprint for hw in halved}) == 1
