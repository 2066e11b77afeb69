"""The parts on the machine: its facts, versions, and what of the space it cannot honour."""

from __future__ import annotations

from autotune.analysis.number_format import size
from autotune.report.page.part import Part
from autotune.report.text import formatting
from autotune.report.text.study_reader import Study
from autotune.study.storage import store


def parts(study: Study) -> list[Part]:
    """The machine with the versions of what was measured; then what was left out, if anything was."""
    hw, space = study.hardware, study.space
    versions = sorted({item for result in study.results for item in result.versions.items()})
    facts = [
        ("instance type", hw.instance_type),
        ("CPU", hw.cpu_model),
        ("cores used", f"{len(hw.cores)} of {len({cpu.core for cpu in hw.cpus})}, {hw.architecture}"),
        ("instruction sets", " ".join(hw.isa)),
        ("memory", size(hw.usable_memory_bytes)),
        ("kernel, glibc", f"{hw.kernel}, {hw.glibc or 'not glibc'}"),
        ("model", space.workload.model),
        *formatting.wanted(space.goal),
        ("ran for", formatting.duration(store.elapsed_s(study.folder))),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions)),
    ]
    parts = [Part("Machine and versions", table=(("what", "is"), *((name, said) for name, said in facts if said)))]
    if space.excluded:
        rows = [(f"{one.setting} {formatting.literal(one.value)}", one.reason) for one in space.excluded]
        says = "What the space names and this machine cannot honour."
        parts.append(Part("Left out", says, table=(("setting", "why"), *rows)))
    return parts
