"""Every option of every backend and every value of every knob that can be had here, in few real trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import Status, TrialResult
from autotune.core.struct import Value
from autotune.hardware import probe
from autotune.space import configs
from tests.conftest import ExtendedPackage
from tests.core.every_plugin import BACKENDS, KNOBS, available_options

HW = probe.probe()
COMPILING = ("torch_compile", "torch_aot", "torch_int8")
PARTNERS: tuple[dict[str, Value], ...] = (
    {},
    {"allocator": "jemalloc"},
    {"allocator": "tcmalloc"},
    {"openmp": "intel"},
    {"openvino.requests": 2},
)
"""Some settings do something only beside a value of another."""
CRASHING = ("allocator", "huge_pages", "layout")
"""Knobs that may crash one backend and not another."""


@pytest.fixture(scope="module")
def measured(
    lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[Config], TrialResult]:
    """The result of a configuration; all of a backend that chosen tests need run in one coordinator."""
    results: dict[str, TrialResult] = {}
    callspecs = [item.callspec for item in request.session.items if item.path == request.path and _configured(item)]
    needed = {callspec.params["config"].key: callspec.params["config"] for callspec in callspecs}

    def result(config: Config) -> TrialResult:
        if config.key not in results:
            together = [one for one in needed.values() if one.backend == config.backend]
            specs = [lab.spec(one.backend, {}, trial=trial) for trial, one in enumerate(together)]
            specs = [msgspec.structs.replace(spec, config=one) for spec, one in zip(specs, together, strict=True)]
            for one in lab.execute(tmp_path_factory.mktemp(config.backend), specs).results:
                results[one.spec.config.key] = one
        return results[config.key]

    return result


def _configured(item: Any) -> bool:
    return "config" in getattr(getattr(item, "callspec", None), "params", {})


Setting = tuple[str, Value]
"""A knob by its name, or an option as `<backend>.<option>`, with a value."""


def names(config: Config) -> list[str]:
    """The names of all settings of a configuration."""
    return [*config.knobs, *(f"{config.backend}.{option}" for option in config.options)]


def with_values(config: Config, values: dict[str, Value]) -> Config:
    """The configuration with these options and knobs."""
    knobs = {name: value for name, value in values.items() if "." not in name}
    options = {name.partition(".")[2]: value for name, value in values.items() if "." in name}
    return msgspec.structs.replace(config, knobs=config.knobs | knobs, options=config.options | options)


def held_by(config: Config, name: str) -> Value:
    """A configuration's value of a knob or an option."""
    return config.options[name.partition(".")[2]] if "." in name else config.knobs[name]


def with_value(config: Config, setting: Setting, fixed: Sequence[str], hw: Hardware) -> Config | None:
    """The configuration with the value, and with the first partner beside which all of it can be honoured and works.

    None where there is no such partner that leaves the fixed settings as they are.
    """
    for partner in PARTNERS:
        if partner.keys() <= set(names(config)):
            found = with_values(config, partner | dict([setting]))
            same = all(held_by(found, name) == held_by(config, name) for name in fixed)
            if same and configs.unavailable(found, hw) is None:
                return found
    return None


def covering(backend: str, settings: Sequence[Setting], hw: Hardware) -> list[tuple[Setting, Config]]:
    """The settings, each with a configuration that holds it, of as few as a greedy choice finds.

    Those that need a partner come first, since the partner is a setting too; those that never work are left out.
    """
    plain = configs.configure(hw, batch_size=2, backend=backend)
    left = [setting for setting in settings if with_value(plain, setting, (), hw) is not None]
    left.sort(key=lambda setting: configs.unavailable(with_values(plain, dict([setting])), hw) is None)
    found: list[tuple[Setting, Config]] = []
    while left:
        config, held = plain, dict[str, Value]()
        for setting in left:
            tried = with_value(config, setting, list(held), hw)
            if tried is not None:
                changed = [name for name in names(tried) if held_by(tried, name) != held_by(config, name)]
                held |= {name: held_by(tried, name) for name in changed}
                held |= dict([setting])
                config = tried
        found += [(setting, config) for setting in left if held.get(setting[0]) == setting[1]]
        left = [setting for setting in left if held.get(setting[0]) != setting[1]]
    return found


def options(backend: str) -> list[Setting]:
    """Each value of each option that can be had here while the others are at their defaults."""
    defaults = msgspec.structs.asdict(plugins.backend_options(backend, {})).items()
    changes = [values.items() - defaults for values in available_options(backend, HW)]
    found = [*defaults, *(one for change in changes if len(change) == 1 for one in change)] if changes else []
    return [(f"{backend}.{option}", value) for option, value in found]


def knobs(backend: str) -> tuple[list[Setting], list[Setting]]:
    """The values of knobs to try beside a backend, and those that are for slow runs.

    All of them beside the one that starts fastest; beside others those that crash some, or that only torch heeds.
    """
    domains = {name: plugins.load("knobs", name).domain(HW)[:8] for name in KNOBS}
    settings = [(name, value) for name, values in domains.items() for value in values]
    if backend == "onnxruntime":
        return settings, []
    if backend not in ("openvino", "torch_eager"):
        return [], []
    changed = [(name, value) for name, value in settings if value != plugins.load("knobs", name).default(HW)]
    elsewhere = [setting for setting, _ in covering("onnxruntime", settings, HW)]
    if backend == "openvino":
        elsewhere = [(name, value) for name, value in elsewhere if name not in CRASHING]
    return [one for one in changed if one not in elsewhere], [one for one in changed if one in elsewhere]


def settings() -> Iterator[Any]:
    """Every setting with a configuration that holds it; a precision that rounds is tried without others.

    Backends that compile take long, and have tests of their own that compile.
    """
    for backend in BACKENDS:
        if "module" not in plugins.load("backends", backend).runs or not available_options(backend, HW):
            continue
        precision = f"{backend}.precision"
        rounding = [(name, value) for name, value in options(backend) if name == precision and value != "float32"]
        exact = [setting for setting in options(backend) if setting not in rounding]
        quick, slow = knobs(backend)
        for chosen, late in (([*quick, *exact], False), (rounding, False), (slow, True)):
            marks = [pytest.mark.slow] if late or backend in COMPILING else []
            for (name, value), config in covering(backend, chosen, HW):
                yield pytest.param(name, value, config, id=f"{backend}-{name}-{value}", marks=marks)


@pytest.mark.parametrize(("name", "value", "config"), list(settings()))
def test_a_setting_takes_effect_and_keeps_the_answers(
    measured: Callable[[Config], TrialResult], name: str, value: Value, config: Config
) -> None:
    assert held_by(config, name) == value
    result = measured(config)
    assert (result.status, result.error) == (Status.OK, None)  # what is not in effect is named here
    assert result.fidelity is not None and result.fidelity.centred_error is not None
    exact = config.backend != "torch_int8" and config.options.get("precision", "float32") == "float32"
    exact = exact and config.knobs["fast_math"] == "strict" and not config.options.get("fast_math")
    assert result.fidelity.centred_error < (1e-8 if exact else 0.1)
    assert set(result.versions) == {"python", *plugins.load("backends", config.backend).packages}
