"""Rules of trials under test, and what trials leave in their folders."""

from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.results import TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from tests.conftest import QUICK


def rules(**changes: float) -> MeasureRules:
    return msgspec.structs.replace(QUICK, verify_s=60.0, **changes)


def written(root: Path, spec: TrialSpec) -> TrialResult:
    return msgspec.json.decode((root / spec.folder / "result.json").read_bytes(), type=TrialResult)
