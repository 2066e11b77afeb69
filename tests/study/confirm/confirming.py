"""Confirmations of made-up studies on the fake executor."""

from __future__ import annotations

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Finalist
from autotune.core.estimate import Estimate
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.confirm.stage import confirm
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor
from tests.study.fakes import Watcher, machine, plain

HW = machine()
RULES, CONFIRM = MeasureRules(), ConfirmRules()


def config(batch_size: int = 1, backend: str = "torch_eager", **knobs: Value) -> Config:
    return configs.configure(HW, batch_size=batch_size, backend=backend, options={}, knobs=knobs)


PLAIN = plain(HW)
SECOND = config(8, "onnxruntime")
FIRST = config(8, "onnxruntime", allocator="tcmalloc")
THIRD = config(1, "onnxruntime")


def confirmed(
    study: OpenStudy,
    executor: FakeExecutor,
    confirm_rules: ConfirmRules = CONFIRM,
    watcher: Watcher | None = None,
) -> Confirmation | None:
    return confirm(study, executor, watcher or Watcher(), RULES, confirm_rules, clock=executor.clock)


def covers(found: Estimate | None, truth: float) -> bool:
    return found is not None and found.low is not None and found.high is not None and found.low <= truth <= found.high


def by_trial(found: Confirmation) -> dict[int | None, Finalist]:
    return {one.trial: one for one in found.finalists}
