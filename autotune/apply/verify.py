"""`verify`: a `best.json` and its baseline measured now, here, by the rules of a confirmation."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from autotune.apply import best_file, claim_check
from autotune.apply.claim_check import ClaimCheck
from autotune.apply.plain_progress import PlainProgress
from autotune.apply.verification import Verification
from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.errors import MachineError, StudyError
from autotune.core.machine import Hardware
from autotune.core.rules import ConfirmRules, MeasureRules, within
from autotune.hardware import probe
from autotune.knobs import layout
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache, workload
from autotune.models.artifact_cache import PreparationFailed
from autotune.space import configs
from autotune.study.confirm.names import BASELINE, WINNER

RULES, CONFIRM = MeasureRules(), ConfirmRules()


def verify(
    path: Path,
    *,
    minutes: float = 2.0,
    say: Callable[[str], None],
    rules: MeasureRules = RULES,
    confirm: ConfirmRules = CONFIRM,
) -> Verification:
    """The verdict on the claim of a `best.json` on this machine, after at most so many minutes of measuring.

    Preparing models comes on top, and waiting for another measurement. `say` is told what goes on, a line each.
    AutotuneError where the file is none or claims nothing, the model cannot be built or this machine cannot honour a
    configuration.
    """
    best, hw = claimed(path), probe.probe()
    rules = within(rules, best.limits)
    configs = compared(best, hw, path)
    root = Path(tempfile.mkdtemp(prefix="autotune-verify-"))
    found = None
    try:
        check = ClaimCheck(best, hw, configs, root, rules, confirm)
        with LocalExecutor(hw, root, artifact_cache.default_folder(), PlainProgress(say)) as executor:
            executor.check(best.workload, rules)
            found = _unprepared(executor, check)
            if found is None and best.objective == ("served_rate",):
                found = check.serve(executor)
            elif found is None:
                found = check.compare(executor, minutes * 60)
        return found
    finally:
        if found is None or found.logs is None:
            shutil.rmtree(root, ignore_errors=True)


def claimed(path: Path) -> Best:
    """A `best.json` that claims something; StudyError where it is none, or it was never confirmed."""
    best = best_file.read(path)
    if not best.confirmed:
        raise StudyError(
            f"{path} has no claim to verify: its figures were never confirmed; run the study again "
            "without --skip-confirmation and with more --minutes, which writes the file anew"
        )
    if best.objective != ("served_rate",) and best.measured.speedup is None:
        raise StudyError(
            f"{path} has no claim to verify: the baseline's figure was not confirmed; tune again with another --name "
            "and more --minutes"
        )
    return best


def compared(best: Best, hw: Hardware, path: Path) -> dict[str, Config]:
    """The configuration and its baseline by name; MachineError where one cannot be honoured here.

    A baseline on all cores of the tuned machine is one on all cores of this machine.
    """
    baseline = best.baseline or _plain(best, hw, path)
    if baseline.knobs["layout"] == layout.default(best.hardware):
        baseline = msgspec.structs.replace(baseline, knobs=baseline.knobs | {"layout": layout.default(hw)})
    wanted = {WINNER: best.config, BASELINE: baseline}
    for name, config in wanted.items():
        if reason := configs.unavailable(config, hw):
            raise MachineError(f"the {name} of {path} cannot be measured here: {reason}; or tune on this machine")
    return wanted


def _plain(best: Best, hw: Hardware, path: Path) -> Config:
    """The untuned model, for a file that does not say what its speed-up is over."""
    provider = workload.provider(best.workload)
    if getattr(plugins.load("backends", provider.plain), "free", False):
        raise MachineError(f"{path} names no baseline; write it again with `python -m autotune export {best.study}`")
    return configs.configure(hw, batch_size=workload.fixed_batch(best.workload) or 1, backend=provider.plain)


def _unprepared(executor: LocalExecutor, check: ClaimCheck) -> Verification | None:
    """Make all that is loaded, so that it takes none of the measuring's time; the verdict where that fails."""
    for name, config in check.configs.items():
        try:
            executor.prepare(check.best.workload, config, check.rules)
        except PreparationFailed as error:
            return check.verification(claim_check.without(name), [f"the {name} cannot be prepared: {error}"])
    return None
