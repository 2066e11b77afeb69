"""Modules that plugins written for an earlier version import, each with the one that now holds the same names."""

from __future__ import annotations

import re

TYPES = "autotune.core.config, launch_patch, machine, specs, struct and workload_spec"

MODULES = {
    "autotune.artifacts": "autotune.models.artifacts",
    "autotune.best": "autotune.core.best",
    "autotune.cgroups": "autotune.hardware.cgroups",
    "autotune.claims": "autotune.core.confirmation",
    "autotune.correction": "autotune.analysis.drift",
    "autotune.data": "autotune.models.data",
    "autotune.digests": "autotune.models.digests",
    "autotune.energy": "autotune.hardware.energy",
    "autotune.environments": "autotune.hardware.interpreters",
    "autotune.errors": "autotune.core.errors",
    "autotune.figures": "autotune.analysis.metrics",
    "autotune.files": "autotune.core.files",
    "autotune.hardware": "autotune.hardware.probe",
    "autotune.interfaces": "autotune.core.interfaces",
    "autotune.latencies": "autotune.analysis.latency",
    "autotune.libraries": "autotune.hardware.libraries",
    "autotune.placeholders": "autotune.core.command_template",
    "autotune.plugins": "autotune.core.plugins",
    "autotune.problem": "autotune.core.space_types",
    "autotune.protocol": "autotune.core.protocol",
    "autotune.results": "autotune.core.results",
    "autotune.rules": "autotune.core.rules",
    "autotune.selection": "autotune.analysis.selection",
    "autotune.serving": "autotune.analysis.rate_search",
    "autotune.shapes": "autotune.core.shapes",
    "autotune.stats": "autotune.analysis.stats",
    "autotune.topology": "autotune.hardware.topology",
    "autotune.types": TYPES,
    "autotune.workload": "autotune.models.workload",
    "autotune.workloads._files": "autotune.core.user_files",
    "autotune.yaml_lines": "autotune.space.yaml_nodes",
}


def hint(error: Exception) -> str:
    """`; autotune.errors is now autotune.core.errors` where a module that has moved was imported, else nothing."""
    if not isinstance(error, ImportError) or error.name is None:
        return ""
    imported = re.match(r"cannot import name '(\w+)'", str(error))  # `from autotune import errors`
    names = [f"{error.name}.{imported[1]}", error.name] if imported else [error.name]
    return next((f"; {name} is now {MODULES[name]}" for name in names if name in MODULES), "")
