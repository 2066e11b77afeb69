"""How often does a confirmation claim what is not there, and find what is? Simulated, as it is shipped.

Two configurations and the baseline on the noise of a shared machine (`tests/noise.py`), each seed one confirmation of
four minutes: both equal to the baseline (A/A), or the second faster by so much. Prints for each the share of claims.

    python benchmarks/claims.py [--seeds 1000] [--jobs 2]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import math
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

SEEDS = 1000
FIRST_SEED = 3000
MOST_FALSE = 0.05
CASES = ((0.0, 1.0), (0.0, 1 / 3), (0.05, 1 / 3), (0.10, 1.0), (0.30, 1.0))
"""The gain of the second configuration, and the noise as a part of the recorded machine's."""


def main() -> int:
    """1 if equal configurations are called a gain too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started now
    context = multiprocessing.get_context("spawn")
    good = True
    with concurrent.futures.ProcessPoolExecutor(options.jobs, context) as pool:
        for gain, loudness in CASES:
            seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
            share = sum(pool.map(functools.partial(claims, gain, loudness), seeds, chunksize=5)) / options.seeds
            wanted = "" if gain else f"; wanted <= {MOST_FALSE:.0%}"
            what = f"a gain of {gain:.0%} found" if gain else "equal configurations called a gain"
            print(f"{what} at {loudness:.2f} of the noise: {share:.1%} of {options.seeds} confirmations{wanted}")
            good = good and (gain > 0 or share <= MOST_FALSE)
    return 0 if good else 1


def claims(gain: float, loudness: float, seed: int) -> bool:
    """True if the second configuration, or of equal ones any, is claimed to be faster than the baseline."""
    from tests.study.confirm.simulated import decided

    with tempfile.TemporaryDirectory() as folder:
        found = decided(Path(folder), seed, loudness, trial_1=0.0, trial_2=math.log(1 + gain))
    return found.gain and (not gain or found.name == "trial-2")


if __name__ == "__main__":
    sys.exit(main())
