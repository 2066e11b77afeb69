"""A space file resolved on one machine: `load` gives the domains to search, the baseline, and what was left out, why.

Everything that is searched is a finite choice (a range is written out). A setting that is not named has
one value, its default: batch size 1, the default of a knob or option, the plain backend of the workload.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core import plugins
from autotune.core.interfaces import Provider
from autotune.core.machine import Hardware
from autotune.core.space_types import Budget, Domains, Exclusion, Space, TimeLimits
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import calibration
from autotune.space import baseline, configs, goal_section, int8, prices, workload_section, yaml_nodes
from autotune.space.domains import resolve
from autotune.space.values import Count, Name, one
from autotune.space.yaml_nodes import Node

KEYS = ("name", "workload", "objective", "constraints", "prices", "search", "baseline", "budget", "limits")


def load(path: Path, hw: Hardware, price_file: Path | None = None, text: str | None = None) -> Space:
    """The space that a file describes on this machine; SpaceError names file, line, key and what is allowed.

    `price_file` is another file of prices than the space file names; `text` the file's content (`yaml_nodes.text`),
    where it has been read.
    """
    root = yaml_nodes.parse(yaml_nodes.text(path) if text is None else text, str(path))
    parts = root.section(KEYS)
    for key in ("name", "workload", "search"):
        if key not in parts:
            raise root.error(f"there is no {key!r}", "; a space has name, workload and search")

    def part(key: str) -> Node:
        return parts.get(key) or Node(value=None, file=root.file, line=root.line, key=key)

    spec = workload_section.load(part("workload"), path.parent, hw)
    price, unpriced = prices.load(part("prices"), price_file, path.parent, hw)
    goal = goal_section.load(part("objective"), part("constraints"), price, spec, hw)
    provider = plugins.load("workloads", spec.provider)
    searched = part("search").value
    lacking = _lacking(spec, provider, hw) if isinstance(searched, dict) and "interpreter" in searched else {}
    domains, excluded = resolve(part("search"), hw, provider, lacking)
    domains, unjudgeable = _without_int8(domains, spec, part("search"))
    if hasattr(provider, "mismatch") and (reason := provider.mismatch(spec.name, domains)):
        raise part("search").error("search does not fit the workload", f"; {reason}")
    plain = baseline.load(part("baseline"), domains, provider, hw)
    if calibration.calibrated(plain) and (reason := calibration.refusal(spec, None)):
        raise part("baseline").error("the baseline cannot be used here", f"; {reason}")
    return Space(
        name=one(part("name"), Name),
        workload=msgspec.structs.replace(spec, batch_size=configs.only_batch_size(domains, plain)),
        domains=domains,
        baseline=plain,
        budget=_budget(part("budget")),
        limits=_limits(part("limits")),
        objective=goal.objectives if len(goal.objectives) > 1 else goal.objectives[0],
        constraints=goal.limits,
        price=price,
        excluded=(*unpriced, *excluded, *unjudgeable),
    )


def _without_int8(domains: Domains, spec: WorkloadSpec, node: Node) -> tuple[Domains, tuple[Exclusion, ...]]:
    """The domains without int8 where the inputs can neither calibrate nor judge it, and what that leaves out."""
    if (reason := calibration.refusal(spec, None)) is None:
        return domains, ()
    kept, left_out = int8.without(domains, reason)
    if not kept.backends:
        raise node.error("no backend of search.backend can be used here", f"; {reason}")
    return kept, left_out


def _lacking(spec: WorkloadSpec, provider: Provider, hw: Hardware) -> dict[str, str]:
    """The environments in which the workload cannot be built, by name, each with the reason."""
    options = msgspec.convert(spec.options, provider.Options)
    reasons = {name: provider.unavailable(options, hw.seen_by(name)) for name in hw.environments}
    return {name: f"in that environment: {reason}" for name, reason in reasons.items() if reason}


def _budget(node: Node) -> Budget:
    parts = node.section(("trials", "minutes"))
    trials = one(parts["trials"], Count) if "trials" in parts else None
    minutes = one(parts["minutes"], float) if "minutes" in parts else None
    if minutes is not None and minutes <= 0:
        raise parts["minutes"].error(f"budget.minutes is {minutes:g}", "; allowed: a number above 0")
    return Budget(trials=trials, minutes=minutes)


def _limits(node: Node) -> TimeLimits:
    given = {name: (part, one(part, float)) for name, part in node.section(TimeLimits.__struct_fields__).items()}
    for part, seconds in given.values():
        if seconds <= 0:
            raise part.error(f"{part.key} is {seconds:g}", "; allowed: a number of seconds above 0")
    return TimeLimits(**{name: seconds for name, (_, seconds) in given.items()})
