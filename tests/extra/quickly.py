"""`python -m autotune` under the rules of tests, so that a trial takes a fraction of a second."""

from __future__ import annotations

from functools import partial

from autotune.cli import app, tune
from autotune.core.rules import MeasureRules

tune.MeasureRules = partial(  # type: ignore[attr-defined]
    MeasureRules, block_s=0.05, measure_s=0.2, warmup_s=0.5, min_blocks=2, canary_s=0.01, disturbed_repeats=0
)

if __name__ == "__main__":
    app.main()
