"""The contracts that every plugin must keep; whoever adds a file need not touch this one."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator

import msgspec
import pytest

from autotune.core import interfaces, plugins
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.plugins import Kind
from autotune.core.struct import Value
from autotune.launch import environment
from autotune.space import values as setting
from tests.core.every_plugin import (
    BACKENDS,
    KNOBS,
    MACHINES,
    PROVIDERS,
    available_options,
    configured,
    contract,
    every_knob,
    every_machine,
    every_plugin,
    module,
    option_values,
)

# --------------------------------------------------------------------------------------------------------- contract


def functions_of(protocol: type) -> Iterator[tuple[str, list[str]]]:
    """The functions of a contract with the names of their arguments."""
    for name, function in vars(protocol).items():
        if inspect.isfunction(function) and not name.startswith("_"):
            yield name, list(inspect.signature(function).parameters)[1:]


def test_contracts_have_functions() -> None:
    assert dict(functions_of(interfaces.Knob))["unavailable"] == ["value", "hw"]
    assert dict(functions_of(interfaces.Backend))["load"] == ["workload", "options", "config", "folder"]


@every_plugin
def test_a_plugin_has_all_that_its_contract_names(kind: Kind, name: str) -> None:
    plugin = module(kind, name)
    for function, arguments in functions_of(contract(kind)):
        own = list(inspect.signature(getattr(plugin, function)).parameters.values())
        assert [parameter.name for parameter in own[: len(arguments)]] == arguments
        assert all(parameter.default is not parameter.empty for parameter in own[len(arguments) :])
    for attribute in inspect.get_annotations(contract(kind)):
        assert hasattr(plugin, attribute)


@every_plugin
def test_a_plugin_says_what_it_is(kind: Kind, name: str) -> None:
    plugin = module(kind, name)
    assert plugin.__doc__ and plugin.__doc__.strip()
    for function, _ in functions_of(contract(kind)):
        found = getattr(plugin, function)
        assert found.__doc__ and found.__doc__.strip(), f"{name}.{function} has no docstring"
    if kind != "knobs":
        assert plugin.Options.__doc__


# ------------------------------------------------------------------------------------------------------------ knobs


def is_legal(name: str, value: Value) -> bool:
    try:
        return msgspec.convert(value, setting.knob(name)) == value
    except msgspec.ValidationError:
        return False


@every_knob
@every_machine
def test_a_knobs_default_is_legal_and_available(name: str, hw: Hardware) -> None:
    knob = plugins.load("knobs", name)
    assert is_legal(name, knob.default(hw))
    assert knob.unavailable(knob.default(hw), hw) is None


@every_knob
@every_machine
def test_a_knobs_domain_is_legal_and_available(name: str, hw: Hardware) -> None:
    knob = plugins.load("knobs", name)
    domain = knob.domain(hw)
    assert knob.default(hw) in domain
    assert len(set(domain)) == len(domain)
    for value in domain:
        assert is_legal(name, value)
        assert knob.unavailable(value, hw) is None


@every_knob
@every_machine
def test_a_value_that_is_not_available_has_a_reason(name: str, hw: Hardware) -> None:
    knob = plugins.load("knobs", name)
    legal = setting.choices(setting.knob(name)) or {
        value for other in MACHINES.values() for value in knob.domain(other)
    }
    for value in legal:
        reason = knob.unavailable(value, hw)
        assert (reason is None) == (value in knob.domain(hw))
        assert reason is None or (reason.strip() and "\n" not in reason)


# --------------------------------------------------------------------------------------------------------- backends


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backends_defaults_are_legal(name: str) -> None:
    defaults = msgspec.structs.asdict(plugins.backend_options(name, {}))
    assert plugins.backend_options(name, dict(defaults)) == plugins.backend_options(name, {})
    for values in option_values(name, MACHINES["AMX"]):
        assert set(values) == set(defaults)


@pytest.mark.parametrize("name", BACKENDS)
@every_machine
def test_options_that_are_not_available_have_a_reason(name: str, hw: Hardware) -> None:
    backend = plugins.load("backends", name)
    for values in option_values(name, hw):
        reason = backend.unavailable(plugins.backend_options(name, dict(values)), hw)
        assert reason is None or (reason.strip() and "\n" not in reason)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_needs_its_packages(name: str) -> None:
    assert available_options(name, MACHINES["AMX"])
    if plugins.load("backends", name).packages:
        assert available_options(name, MACHINES["no packages"]) == []


@pytest.mark.parametrize("name", BACKENDS)
@every_machine
def test_what_a_backend_is_made_from_is_available_too(name: str, hw: Hardware) -> None:
    for values in available_options(name, hw):
        source = plugins.load("backends", name).source(plugins.backend_options(name, dict(values)))
        if source is not None:
            other, options = source
            made = plugins.backend_options(other, dict(options))
            assert plugins.load("backends", other).unavailable(made, hw) is None
            assert plugins.load("backends", other).cache_key(made, configured(other, options, layout="1x1"), hw)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_cache_key_can_be_written_down(name: str) -> None:
    hw = MACHINES["AMX"]
    for values in available_options(name, hw):
        options = plugins.backend_options(name, dict(values))
        key = plugins.load("backends", name).cache_key(options, configured(name, values, layout="1x1"), hw)
        assert key is None or msgspec.json.encode(key)


@pytest.mark.parametrize("name", PROVIDERS)
@every_machine
def test_a_provider_has_a_reason_when_it_cannot_build(name: str, hw: Hardware) -> None:
    provider = plugins.load("workloads", name)
    reason = provider.unavailable(provider.Options(), hw)
    assert (reason is None) == (set(provider.packages) <= set(hw.packages))
    assert reason is None or (reason.strip() and "\n" not in reason)
    assert isinstance(provider.judged("x", provider.Options()), bool)


# --------------------------------------------------------------------------------------------------- launch patches


@every_machine
def test_launch_patches_are_pure_and_never_contradict_each_other(hw: Hardware) -> None:
    """Every value of every knob with every value of each other, and with all options of all backends."""
    asked: list[tuple[str, LaunchPatch]] = []
    for name in KNOBS:
        knob = plugins.load("knobs", name)
        patches = [knob.launch(value, hw) for value in knob.domain(hw)]
        assert patches == [knob.launch(value, hw) for value in knob.domain(hw)]
        # equal patches need not be merged again
        asked += [(name, patch) for i, patch in enumerate(patches) if patch not in patches[:i]]
    for name in BACKENDS:
        backend = plugins.load("backends", name)
        patches = []
        for values in available_options(name, hw):
            options, config = plugins.backend_options(name, dict(values)), configured(name, values, layout="1x1")
            patches.append(backend.launch(options, config, hw))
            assert patches[-1] == backend.launch(options, config, hw)
        asked += [(name, patch) for i, patch in enumerate(patches) if patch not in patches[:i]]
    for pair in itertools.combinations(asked, 2):
        if pair[0][0] == pair[1][0] or {pair[0][0], pair[1][0]} <= set(BACKENDS):
            continue
        merged = environment.merge(pair)
        for _, patch in pair:
            for variable, value in patch.env.items():
                separator = environment.JOINED.get(variable)
                found = merged.env[variable]
                parts = {str(found)} if separator is None else set(str(found).split(separator))
                assert ({str(value)} if separator is None else set(str(value).split(separator))) <= parts
            assert set(patch.preload) <= set(merged.preload)


@every_machine
def test_variables_of_a_child_are_those_of_plugins(hw: Hardware) -> None:
    """A knob at its default leaves as little trace as it can: at most it repeats what the layout says."""
    for name in KNOBS:
        knob = plugins.load("knobs", name)
        patch = knob.launch(knob.default(hw), hw)
        assert not patch.preload and not patch.argv_prefix
        assert name == "layout" or not patch.env
