"""`python -m autotune` under the rules of tests: a trial takes a fraction of a second, a confirmation a few runs.

Nothing counts as disturbed: what a test sees must not depend on what else the machine does.

Run as a program, it leaves the names of the modules that it has imported in `imported.txt`.
"""

from __future__ import annotations

import atexit
import sys
from functools import partial
from pathlib import Path

from autotune.cli import app, tune
from autotune.core.rules import ConfirmRules, MeasureRules

NEVER = 1e9

tune.MeasureRules = partial(  # type: ignore[attr-defined]
    MeasureRules,
    block_s=0.05,
    measure_s=0.2,
    warmup_s=0.5,
    min_blocks=2,
    canary_s=0.01,
    disturbed_others=NEVER,
    disturbed_pressure=NEVER,
    disturbed_steal=NEVER,
    disturbed_throttled=NEVER,
    disturbed_frequency=0.0,
    disturbed_canary=NEVER,
)
tune.ConfirmRules = partial(  # type: ignore[attr-defined]
    ConfirmRules, finalists=2, runs=3, first_rounds=2, most_rounds=2, delta=0.2, first_stage=4
)

if __name__ == "__main__":
    atexit.register(lambda: Path("imported.txt").write_text("\n".join(sys.modules)))
    app.main()
