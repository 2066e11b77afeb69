"""A winner with four settings changed, and confirmations of it on the fake executor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autotune.core.config import Config
from autotune.core.confirmation import Ablation, Confirmation
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.confirm.stage import confirm
from tests.fake_executor import FakeExecutor
from tests.study.fakes import Watcher, machine, plain, searched

HW = machine()
CONFIRM = ConfirmRules()
PLAIN = plain(HW)


def config(batch_size: int = 1, backend: str = "torch_eager", **settings: Value) -> Config:
    """Knobs by their names, options with an underscore behind theirs."""
    knobs = {name: value for name, value in settings.items() if not name.endswith("_")}
    options = {name.removesuffix("_"): value for name, value in settings.items() if name.endswith("_")}
    return configs.configure(HW, batch_size=batch_size, backend=backend, options=options, knobs=knobs)


WINNER = config(16, "openvino", precision_="int8", allocator="tcmalloc")
LEAN = config(16, "openvino", precision_="int8")
OTHER = config(8)


def confirmed(
    folder: Path, search: dict[Config, float], behave: Callable[[str, InterleavedSpec], float], minutes: float = 60
) -> tuple[Confirmation, FakeExecutor]:
    executor = FakeExecutor(folder, candidate=behave)
    return confirmed_on(executor, search, minutes), executor


def confirmed_on(executor: FakeExecutor, search: dict[Config, float], minutes: float) -> Confirmation:
    study = searched(executor.root, search, minutes)
    found = confirm(study, executor, Watcher(), MeasureRules(), CONFIRM, clock=executor.clock)
    assert found is not None and found.winner is not None and found.gain
    return found


def steps(*settings: str) -> tuple[Ablation, ...]:
    """Worths in this order."""
    return tuple(Ablation(setting=setting, value=1, instead=0, ratio=None) for setting in settings)


def hinted() -> Config:
    options = {"hint": "throughput", "requests": 0}
    return configs.configure(HW, batch_size=1, backend="openvino", options=options)
