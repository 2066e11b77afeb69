"""A made-up table of a space that was measured whole, for the tests of what replays one."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from autotune.core.answers import Fidelity
from autotune.core.config import Config
from autotune.core.results import Block, Status
from autotune.space.goal_section import ANSWERS
from autotune.study.model import suggest
from tests.fake_executor import speed
from tests.fake_hardware import machine
from tests.study.fakes import SMALL, resolved

sys.path.append(str(Path(__file__).parents[1]))

from recorded import Row, Table

HW = machine()
START_S, BLOCK_S, PREPARE_S, FAILED_S = 3.0, 0.7, 20.0, 4.0
WARM_UP, BLOCKS = 2, 8
TRIAL_S = START_S + 5 * BLOCK_S
"""Of a steady configuration: two blocks warm it up, three are enough."""


NOISE = (1.0, 1.02, 0.97, 1.01, 0.99, 1.03, 0.98, 1.0)


def blocks(rate: float, noise: tuple[float, ...] = (1.0,) * BLOCKS) -> tuple[Block, ...]:
    """Half a second each, after a warm-up."""
    return tuple(
        Block(
            number=number,
            start_ns=round(number * BLOCK_S * 1e9),
            elapsed_ns=500_000_000,
            items=rate * factor / 2,
            calls=1,
            cpu_ns=0,
        )
        for number, factor in enumerate(noise, WARM_UP)
    )


def fails(config: Config) -> bool:
    return config.backend == "torch_eager" and config.knobs["allocator"] == "tcmalloc"


def answers(centred_error: float) -> Fidelity:
    return Fidelity(judged=True, samples=8, cosine_similarity=0.9, centred_error=centred_error, max_abs_error=1.0)


def table(noise: tuple[float, ...] = (1.0,) * BLOCKS, wrong: Callable[[Config], bool] = lambda config: False) -> Table:
    """Eight configurations, of which two fail; those of onnxruntime share an artifact, which the first row made.

    Those that are `wrong` answer wrongly, beyond the limit of the space.
    """
    rows: list[Row] = []
    for config in suggest.untried(SMALL, HW, (), random.Random(0)):
        parameters = suggest.parameters(config, SMALL, HW)
        assert parameters is not None
        if fails(config):
            rows.append(Row(parameters=parameters, status=Status.CRASHED, blocks=(), wall_s=FAILED_S, prepare_s=0.0))
            continue
        artifact = "model" if config.backend == "onnxruntime" else None
        prepare_s = PREPARE_S if artifact and not any(row.artifact for row in rows) else 0.0
        wall_s = START_S + prepare_s + (WARM_UP + BLOCKS) * BLOCK_S
        rows.append(
            Row(
                parameters=parameters,
                status=Status.OK,
                blocks=blocks(speed(config), noise),
                wall_s=wall_s,
                prepare_s=prepare_s,
                artifact=artifact,
                fidelity=answers(2.0 if wrong(config) else 0.0),
                feasible=not wrong(config),
            )
        )
    space = msgspec.structs.replace(resolved(HW, SMALL), constraints=ANSWERS)
    return Table(space=space, hardware=HW, rows=tuple(rows))
