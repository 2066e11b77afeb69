"""Configurations that the tests of several forms export."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import yaml

from autotune.core.best import Best
from autotune.core.config import Placement
from autotune.core.machine import Cpu
from tests.apply.made import FAST, best
from tests.report.made import HW, config

HOSTILE = (
    "$(touch /tmp/pwned) `id` ; rm -rf / # & | > <",
    'it\'s "quoted" \\ and \\\\',
    "%i %n %% $HOME ${HOME} $$ $(HOME) $((1))",
    " leading and trailing \t ",
    "--flag=-x",
    "naïve ☃ \U0001f600",
    "",
)
CPU = min(os.sched_getaffinity(0))
ONE = config("onnxruntime", 8, layout="1x1")
NUMA = msgspec.structs.replace(
    HW, cpus=tuple(Cpu(id=i, core=i, socket=0, node=i) for i in (0, 1)), numactl="/usr/bin/numactl"
)
BOUND = msgspec.structs.replace(FAST, knobs=FAST.knobs | {"numa": "bind"})
SPREAD = msgspec.structs.replace(FAST, knobs=FAST.knobs | {"numa": "interleave"})


def single(values: dict[str, str | None], **fields: Any) -> Best:
    """A worker on a CPU of this machine, with just these variables."""
    return best(ONE, environment=values, layout=(Placement(cpus=(CPU,), threads=1),), **fields)


def container(text: str) -> dict[str, Any]:
    """The only container of a Deployment."""
    (found,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found
