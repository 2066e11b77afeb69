"""Results and confirmations made by hand, with blocks of one second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune.core.answers import Fidelity
from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Finalist, Winner
from autotune.core.estimate import Estimate
from autotune.core.results import ArtifactRef, Block, Candidate, InterleavedRun, Status, TrialResult
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.storage import store
from tests.study.fakes import WORKLOAD, machine

HW = machine()


def config(
    backend: str = "torch_eager",
    batch_size: int = 1,
    options: dict[str, Value] = {},  # noqa: B006
    **knobs: Value,
) -> Config:
    """A configuration of the made-up machine; the baseline if nothing is given."""
    return configs.configure(HW, batch_size=batch_size, backend=backend, options=options, knobs=knobs)


PLAIN = config()


def numbered(rates: Sequence[float], first: int = 0) -> tuple[Block, ...]:
    """Blocks with these rates; the workers number them from the first warm-up on."""
    return tuple(
        Block(number=first + i, start_ns=i * 10**9, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=10**9)
        for i, rate in enumerate(rates)
    )


def result(number: int, found: Config = PLAIN, rates: Sequence[float] = (), **fields: Any) -> TrialResult:
    """A trial whose blocks have these rates; without any it crashed unless a status is given."""
    spec = TrialSpec(id=number, workload=WORKLOAD, config=found, folder=store.trial_folder(number))
    blocks = numbered(rates)
    given: dict[str, Any] = {} if rates else {"status": Status.CRASHED, "error": "it broke"}
    return TrialResult(**{"spec": spec, "status": Status.OK, "blocks": blocks} | given | fields)


def keep_latencies(folder: Path, rows: Sequence[tuple[int, int, int, int]]) -> None:
    """Rows (rank, block's number, nanoseconds, calls) of a trial or a candidate."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "latencies.npy", np.array(rows, dtype=np.int64).reshape(-1, 4), allow_pickle=False)


def estimate(middle: float, half: float | None = None) -> Estimate:
    """A figure give or take so much."""
    if half is None:
        return Estimate(estimate=middle, low=None, high=None)
    return Estimate(estimate=middle, low=middle - half, high=middle + half)


CLOSE = Fidelity(judged=True, samples=8, cosine_similarity=0.999876, centred_error=0.0123, max_abs_error=0.1)


def winner(found: Config, **fields: Any) -> Winner:
    """A confirmed winner, measured by trial 7 unless another is given."""
    given: dict[str, Any] = {
        "trial": 7,
        "config": found,
        "throughput": estimate(40.0, 0.8),
        "ratio": estimate(4.0, 0.1),
        "runs": 6,
        "rounds": 42,
        "folders": (),
        "peak_rss_bytes": 123,
        "setup_s": 1.5,
        "cpu_s_per_sample": 0.025,
        "fidelity": CLOSE,
        "artifact": ArtifactRef(key="k", sha256="s", bytes=9, prepare_s=0.0),
        "versions": {"onnxruntime": "1.0"},
    }
    return Winner(**given | fields)


def confirmation(found: Winner | None, **fields: Any) -> Confirmation:
    """A confirmation with a gain; nothing is confirmed without a winner."""
    given: dict[str, Any] = {
        "confirmed": found is not None,
        "gain": found is not None,
        "winner": found,
        "noise_floor": 0.012,
        "finalists": () if found is None else (Finalist(trial=7, config=found.config, ratio=found.ratio),),
    }
    return Confirmation(**given | fields)


def keep_run(root: Path, folder: str, candidates: dict[str, Candidate], started: str = "") -> None:
    """An interleaved run as the confirmation leaves it."""
    configs = {name: candidate.config for name, candidate in candidates.items()}
    spec = InterleavedSpec(number=1, workload=WORKLOAD, configs=configs, rounds=3, order="", folder=folder)
    found = InterleavedRun(spec=spec, candidates=candidates, start_s=1, wall_s=4, started=started, fingerprint="")
    (root / folder).mkdir(parents=True)
    (root / folder / "sitting.json").write_bytes(store.encode(found))
