"""Every option of every backend and every value of every knob that can be had here, in real trials."""

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
)
"""Some knobs do something only beside a value of another."""


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


# ---------------------------------------------------------------------------------------------- options of backends


def options() -> Iterator[Any]:
    """Each option of each backend; those that compile take long, and have tests of their own that compile."""
    for name in BACKENDS:
        if "module" not in plugins.load("backends", name).runs:
            continue
        defaults = msgspec.structs.asdict(plugins.backend_options(name, {}))
        for values in available_options(name, HW):
            changed = [f"{option}={value}" for option, value in values.items() if value != defaults[option]]
            if len(changed) < 2:
                config = configs.configure(HW, batch_size=2, backend=name, options=values, knobs={"layout": "1x1"})
                marks = [pytest.mark.slow] if name in COMPILING else []
                yield pytest.param(config, id=f"{name}-{changed[0] if changed else 'defaults'}", marks=marks)


@pytest.mark.parametrize("config", list(options()))
def test_a_backend_answers_as_the_reference_does(measured: Callable[[Config], TrialResult], config: Config) -> None:
    result = measured(config)
    assert (result.status, result.error) == (Status.OK, None)
    assert result.fidelity is not None and result.fidelity.centred_error is not None
    exact = config.backend != "torch_int8" and config.options.get("precision", "float32") == "float32"
    assert result.fidelity.centred_error < (1e-8 if exact else 0.1)
    assert set(result.versions) == {"python", *plugins.load("backends", config.backend).packages}


# -------------------------------------------------------------------------------------------------- values of knobs

Setting = tuple[str, Value]


def with_value(config: Config, setting: Setting, fixed: Sequence[str], hw: Hardware) -> Config | None:
    """The configuration with the value, and with the first partner beside which all its knobs can be honoured and work.

    None where there is no such partner that leaves the fixed knobs as they are.
    """
    for partner in PARTNERS:
        changed = partner | dict([setting])
        found = msgspec.structs.replace(config, knobs=config.knobs | changed)
        same = all(found.knobs[name] == config.knobs[name] for name in fixed)
        if same and configs.unavailable(found, hw) is None:
            return found
    return None


def covering(backend: str, settings: Sequence[Setting], hw: Hardware) -> list[tuple[Setting, Config]]:
    """The settings, each with a configuration that holds it, of as few as a greedy choice finds.

    Those that need a partner come first, since the partner is a setting too; those that never work are left out.
    """
    plain = configs.configure(hw, batch_size=2, backend=backend)
    left = [setting for setting in settings if with_value(plain, setting, (), hw) is not None]
    left.sort(key=lambda setting: configs.unavailable(with_values(plain, setting), hw) is None)
    found: list[tuple[Setting, Config]] = []
    while left:
        config, held = plain, dict[str, Value]()
        for setting in left:
            tried = with_value(config, setting, list(held), hw)
            if tried is not None:
                held |= {name: value for name, value in tried.knobs.items() if value != config.knobs[name]}
                held |= dict([setting])
                config = tried
        found += [(setting, config) for setting in left if held.get(setting[0]) == setting[1]]
        left = [setting for setting in left if held.get(setting[0]) != setting[1]]
    return found


def with_values(config: Config, *settings: Setting) -> Config:
    return msgspec.structs.replace(config, knobs=config.knobs | dict(settings))


def knobs() -> Iterator[Any]:
    """Every value of every knob; beside the backend that starts fastest, those that others crash under.

    Those that only torch heeds run with it, on as many threads as there are; its others are slow.
    """
    for backend in ("onnxruntime", "openvino", "torch_eager"):
        domains = {name: plugins.load("knobs", name).domain(HW)[:8] for name in KNOBS}
        settings = [
            (name, value)
            for name, values in (domains if available_options(backend, HW) else {}).items()
            for value in values
            if backend == "onnxruntime" or value != plugins.load("knobs", name).default(HW)
        ]
        elsewhere = [one for one, _ in covering("onnxruntime", settings, HW)] if backend == "torch_eager" else []
        own = [setting for setting in settings if setting not in elsewhere]
        for chosen, marks in ((own, []), (elsewhere, [pytest.mark.slow])):
            for (name, value), config in covering(backend, chosen, HW):
                yield pytest.param(name, value, config, id=f"{backend}-{name}-{value}", marks=marks)


@pytest.mark.parametrize(("name", "value", "config"), list(knobs()))
def test_a_knob_takes_effect(
    measured: Callable[[Config], TrialResult], name: str, value: Value, config: Config
) -> None:
    assert config.knobs[name] == value
    result = measured(config)
    assert (result.status, result.error) == (Status.OK, None)  # what is not in effect is named here
