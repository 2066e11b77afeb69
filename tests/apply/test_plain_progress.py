from __future__ import annotations

from autotune.apply.plain_progress import PlainProgress
from autotune.core.specs import InterleavedSpec
from tests.study.fakes import WORKLOAD, machine, plain


def test_what_takes_long_is_said_once_a_run() -> None:
    said: list[str] = []
    watching = PlainProgress(said.append)
    watching.waiting("process 7")
    watching.preparing("openvino int8 of m")
    configs = {"winner": plain(machine()), "baseline": plain(machine(), 8)}
    spec = InterleavedSpec(number=2, workload=WORKLOAD, configs=configs, rounds=3, order="x", folder="s")
    for number in range(3):
        watching.interleaving(spec, number)
    assert said == [
        "waiting for process 7, which measures on this machine",
        "preparing openvino int8 of m",
        "interleaved run 2: 3 rounds of winner and baseline in turn",
    ]
