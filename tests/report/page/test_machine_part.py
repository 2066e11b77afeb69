from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.space_types import Exclusion
from autotune.report.page import machine_part
from tests.report.folders import SPACE, keep
from tests.report.made import HW, result


def test_the_machine_is_shown_with_the_versions_of_all_trials(tmp_path: Path) -> None:
    trials = [result(i, rates=(10,), versions={"torch": version}) for i, version in enumerate(("2.4", "2.5", "2.5"))]
    (machine,) = machine_part.parts(keep(tmp_path, trials))
    facts = dict(machine.table)
    assert (facts["CPU"], facts["model"]) == (HW.cpu_model, SPACE.workload.model)
    assert facts["versions"] == "torch 2.4, torch 2.5"


def test_what_was_left_out_is_a_part_of_its_own(tmp_path: Path) -> None:
    excluded = (Exclusion(setting="allocator", value="mimalloc", reason="it is not installed"),)
    _, left_out = machine_part.parts(keep(tmp_path, [], space=msgspec.structs.replace(SPACE, excluded=excluded)))
    assert left_out.table[1:] == (("allocator mimalloc", "it is not installed"),)
