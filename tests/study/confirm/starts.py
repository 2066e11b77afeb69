"""Interleaved runs whose candidates took so long to set up."""

from __future__ import annotations

from autotune.core.results import Candidate, InterleavedRun
from autotune.core.specs import InterleavedSpec
from tests.report.made import PLAIN, config, numbered
from tests.study.fakes import WORKLOAD

CONFIGS = {"a": PLAIN, "b": config("onnxruntime", 8)}


def run(number: int, setup_s: float, *, together: bool = True, names: str = "ab") -> InterleavedRun:
    spec = InterleavedSpec(
        number=number,
        workload=WORKLOAD,
        configs={name: CONFIGS[name] for name in names},
        rounds=1,
        order="",
        folder=f"confirmation/a/{number:04d}",
        together=together,
    )
    candidates = {name: Candidate(config=CONFIGS[name], blocks=numbered((10.0,)), setup_s=setup_s) for name in names}
    return InterleavedRun(spec=spec, candidates=candidates, start_s=1, wall_s=2, started="", fingerprint="")
