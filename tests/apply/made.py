"""A `best.json` made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from autotune.core.best import Best, Claim, Measurements
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.workload_spec import ServingSpec
from autotune.launch import environment
from tests.report.made import HW, PLAIN, config
from tests.study.fakes import WORKLOAD

FAST = config("onnxruntime", 8, allocator="tcmalloc", layout="2x1")


def best(found: Config = FAST, hw: Hardware = HW, **fields: Any) -> Best:
    """A confirmed winner on the made-up machine, twice as fast as the baseline."""
    patch = environment.patch(found, hw)
    measured = Measurements(
        throughput=Estimate(estimate=40.0, low=39.0, high=41.0),
        speedup=Claim(estimate=2.0, low=1.9, high=2.1),
        peak_rss_bytes=2**30,
    )
    given: dict[str, Any] = {
        "study": "toy",
        "trial": 7,
        "confirmed": True,
        "workload": WORKLOAD,
        "config": found,
        "environment": patch.env,
        "preload": patch.preload,
        "argv_prefix": patch.argv_prefix,
        "layout": environment.placements(found, hw),
        "measured": measured,
        "fidelity": None,
        "hardware": hw,
        "versions": {"python": "3.11.0", "onnxruntime": "1.0"},
        "artifact": None,
        "baseline": PLAIN,
    }
    return Best(**given | fields)


def library(folder: Path) -> tuple[Hardware, Best]:
    """The machine and its winner with a file where the allocator is said to be."""
    path = folder / "libtcmalloc.so"
    path.touch()
    hw = msgspec.structs.replace(HW, libraries=HW.libraries | {"tcmalloc": str(path)})
    return hw, best(hw=hw)


def serves(**fields: Any) -> Best:
    """A winner that served 100 requests a second; it has no speed-up where the baseline's rate is not known."""
    measured = msgspec.structs.replace(best().measured, served_rate=100.0, speedup=None)
    workload = msgspec.structs.replace(best().workload, serving=ServingSpec(latency_ms=50.0))
    return best(workload=workload, measured=measured, objective=("served_rate",), **fields)
