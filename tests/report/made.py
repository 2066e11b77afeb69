"""Results made by hand, with blocks of one second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autotune import space
from autotune.results import Block, Status, TrialResult
from autotune.study import store
from autotune.types import Config, TrialSpec, Value
from tests.study.fakes import WORKLOAD, machine

HW = machine()


def config(
    backend: str = "torch_eager",
    batch_size: int = 1,
    options: dict[str, Value] = {},  # noqa: B006
    **knobs: Value,
) -> Config:
    """A configuration of the made-up machine; the baseline if nothing is given."""
    return space.configure(HW, batch_size=batch_size, backend=backend, options=options, knobs=knobs)


PLAIN = config()


def result(number: int, found: Config = PLAIN, rates: Sequence[float] = (), **fields: Any) -> TrialResult:
    """A trial whose blocks have these rates; without any it crashed unless a status is given."""
    spec = TrialSpec(id=number, workload=WORKLOAD, config=found, folder=store.trial_folder(number))
    blocks = tuple(
        Block(start_ns=i * 10**9, elapsed_ns=10**9, items=rate, calls=1, cpu_ns=10**9) for i, rate in enumerate(rates)
    )
    given: dict[str, Any] = {} if rates else {"status": Status.CRASHED, "error": "it broke"}
    return TrialResult(**{"spec": spec, "status": Status.OK, "blocks": blocks} | given | fields)


def keep_latencies(folder: Path, found: TrialResult, rows: Sequence[tuple[int, int, int, int]]) -> None:
    """Rows (rank, block counted from the first warm-up, nanoseconds, calls)."""
    path = folder / found.spec.folder
    path.mkdir(parents=True, exist_ok=True)
    np.save(path / "latencies.npy", np.array(rows, dtype=np.int64), allow_pickle=False)
