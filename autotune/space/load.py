"""A space file resolved on one machine: `load` gives the domains to search, the baseline, and what was left out, why.

Everything that is searched is a finite choice (a range is written out, see `setting`). A setting that is not named has
one value, its default: batch size 1, the default of a knob or option, the plain backend of the workload.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.errors import SpaceError, did_you_mean
from autotune.core.interfaces import Provider
from autotune.core.machine import Hardware
from autotune.core.space_types import PRICES, Budget, Domains, Exclusion, Price, Space
from autotune.core.struct import Value
from autotune.core.workload_spec import WorkloadSpec
from autotune.space import configs, goal_section, workload_section, yaml_nodes
from autotune.space.domains import resolve, unfit
from autotune.space.values import Count, Name, kinds, knob, one
from autotune.space.yaml_nodes import Node

KEYS = ("name", "workload", "objective", "constraints", "prices", "search", "baseline", "budget")

SHIPPED = (Path(__file__).parents[1] / "search_spaces", Path(__file__).parents[2] / "search_spaces")

# ---------------------------------------------------------------------------------------------------- the file


def find(name: str | Path) -> Path:
    """A space file by its path or, among the shipped ones, by its name with or without `.yaml`; else SpaceError."""
    path = Path(name)
    if path.exists() and not path.is_dir():
        return path
    files = {file.stem: file for file in shipped()}
    wanted = str(name).removesuffix(".yaml")
    if wanted in files:
        return files[wanted]
    near = did_you_mean(wanted, files)
    known = "" if near.startswith("; allowed") else f" shipped: {', '.join(files)}"
    raise SpaceError(f"no space {str(name)!r}, neither a file nor shipped{near.replace('allowed', 'shipped')}{known}")


def shipped() -> tuple[Path, ...]:
    """The space files that come with autotune, sorted; in a checkout they lie beside the package."""
    folder = next((folder for folder in SHIPPED if folder.is_dir()), SHIPPED[0])
    return tuple(sorted(folder.glob("*.yaml")))


def load(path: Path, hw: Hardware, prices: Path | None = None) -> Space:
    """The space that a file describes on this machine; SpaceError names file, line, key and what is allowed.

    `prices` names another file of prices than the space file does.
    """
    root = yaml_nodes.read(path)
    parts = root.section(KEYS)
    for key in ("name", "workload", "search"):
        if key not in parts:
            raise root.error(f"there is no {key!r}", "; a space has name, workload and search")

    def part(key: str) -> Node:
        return parts.get(key) or Node(value=None, file=root.file, line=root.line, key=key)

    spec = workload_section.load(part("workload"), path.parent, hw)
    price, unpriced = _price(part("prices"), prices, path.parent, hw)
    goal = goal_section.load(part("objective"), part("constraints"), price, spec, hw)
    provider = plugins.load("workloads", spec.provider)
    searched = part("search").value
    lacking = _lacking(spec, provider, hw) if isinstance(searched, dict) and "interpreter" in searched else {}
    domains, excluded = resolve(part("search"), hw, provider, lacking)
    if hasattr(provider, "mismatch") and (reason := provider.mismatch(spec.name, domains)):
        raise part("search").error("search does not fit the workload", f"; {reason}")
    return Space(
        name=one(part("name"), Name),
        workload=spec,
        domains=domains,
        baseline=_baseline(part("baseline"), domains, provider, hw),
        budget=_budget(part("budget")),
        objective=goal.objectives if len(goal.objectives) > 1 else goal.objectives[0],
        constraints=goal.limits,
        price=price,
        excluded=(*unpriced, *excluded),
    )


def _lacking(spec: WorkloadSpec, provider: Provider, hw: Hardware) -> dict[str, str]:
    """The environments in which the workload cannot be built, by name, each with the reason."""
    options = msgspec.convert(spec.options, provider.Options)
    reasons = {name: provider.unavailable(options, hw.seen_by(name)) for name in hw.environments}
    return {name: f"in that environment: {reason}" for name, reason in reasons.items() if reason}


def _price(node: Node, given: Path | None, folder: Path, hw: Hardware) -> tuple[Price | None, tuple[Exclusion, ...]]:
    """This machine's price, where one is asked for and listed; what is asked for and not listed is left out."""
    if given is None and node.value is None:
        return None, ()
    file = given or folder / str(one(node, str))
    if not file.is_file():
        looked = "" if given else f"; looked for in {folder.resolve()}"
        raise SpaceError(f"there is no file of prices {file}{looked}")
    price = goal_section.prices(file, hw.instance_type)
    left_out = Exclusion(setting=PRICES, value=str(file), reason=f"it has none for {hw.instance_type}")
    return price, () if price else (left_out,)


def _budget(node: Node) -> Budget:
    parts = node.section(("trials", "minutes"))
    trials = one(parts["trials"], Count) if "trials" in parts else None
    minutes = one(parts["minutes"], float) if "minutes" in parts else None
    if minutes is not None and minutes <= 0:
        raise parts["minutes"].error(f"budget.minutes is {minutes:g}", "; allowed: a number above 0")
    return Budget(trials=trials, minutes=minutes)


def _baseline(node: Node, domains: Domains, provider: Provider, hw: Hardware) -> Config:
    """The plain model with the changes written, in the form of `search` but one value each.

    Options that a space file invents have no other default than the first value written.
    """
    knobs = plugins.names("knobs")
    parts = node.section(("batch_size", "backend", *knobs), "knob")
    backend, options = provider.plain, {}
    if getattr(plugins.load("backends", backend), "free", False):
        options = {name: found[0] for name, found in domains.backends[backend].items()}
    if "backend" in parts:
        backends = parts["backend"].section(plugins.names("backends"), "backend")
        if len(backends) != 1:
            raise parts["backend"].error(f"baseline.backend names {len(backends)} backends", "; write one")
        ((backend, part),) = backends.items()
        if reason := unfit(backend, provider):
            raise parts["backend"].error("the baseline cannot be used here", f"; {reason}")
        legal = kinds(plugins.load("backends", backend).Options) or dict.fromkeys(options, Value)
        options |= {
            name: one(value, legal[name]) for name, value in part.section(tuple(legal), f"{backend} option").items()
        }
    config = configs.configure(
        hw,
        batch_size=one(parts["batch_size"], Count) if "batch_size" in parts else domains.batch_size[0],
        backend=backend,
        options=options,
        knobs={name: one(parts[name], knob(name)) for name in knobs if name in parts},
    )
    if reason := configs.unavailable(config, hw):
        raise node.error("the baseline cannot be used here", f"; {reason}; write another under 'baseline'")
    return config
