from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.apply import verify
from autotune.apply.verification import HEADS
from autotune.core.best import Claim
from autotune.core.errors import MachineError, StudyError
from autotune.core.workload_spec import WorkloadSpec
from autotune.hardware import probe as hardware
from autotune.report.export import writer
from autotune.space import configs
from autotune.study.confirm.names import BASELINE, WINNER
from tests.apply import made, tiny
from tests.apply.made import FAST
from tests.place import Place
from tests.report.made import HW, PLAIN
from tests.study.fakes import machine

PATH = Path("best.json")


def test_a_file_that_claims_nothing_is_not_verified(tmp_path: Path) -> None:
    silent = msgspec.structs.replace(made.best().measured, speedup=None)
    found = {
        "its figures were never confirmed; run the study again": made.best(confirmed=False),
        "the baseline's figure was not confirmed; tune again": made.best(measured=silent),
    }
    for says, best in found.items():
        writer.write(tmp_path / "best.json", best)
        with pytest.raises(StudyError, match=rf"^{tmp_path}/best\.json has no claim to verify: {says}") as caught:
            verify.verify(tmp_path / "best.json", say=pytest.fail)
        assert "\n" not in str(caught.value)


def test_a_claim_is_read(tmp_path: Path) -> None:
    for best in (made.best(), made.serves()):
        writer.write(tmp_path / "best.json", best)
        assert verify.claimed(tmp_path / "best.json") == best


def test_the_files_own_baseline_is_compared() -> None:
    other = configs.configure(HW, batch_size=4, backend="torch_eager")
    assert verify.compared(made.best(baseline=other), HW, PATH) == {WINNER: FAST, BASELINE: other}


def test_an_older_file_is_compared_with_the_plain_model() -> None:
    best = made.best(baseline=None)
    assert verify.compared(best, HW, PATH)[BASELINE] == PLAIN


def test_a_baseline_on_all_cores_is_one_on_all_cores_of_this_machine() -> None:
    wide = machine(cores=4)
    assert str(verify.compared(made.best(), wide, PATH)[BASELINE].layout) == "1x4"
    narrow = configs.configure(HW, batch_size=1, backend="torch_eager", knobs={"layout": "1x1"})
    assert verify.compared(made.best(baseline=narrow), wide, PATH)[BASELINE] == narrow


def test_what_this_machine_cannot_honour_is_an_error() -> None:
    without = msgspec.structs.replace(HW, libraries={})
    with pytest.raises(
        MachineError, match=r"the winner of best\.json cannot be measured here: allocator: tcmalloc was"
    ):
        verify.compared(made.best(), without, PATH)
    with pytest.raises(MachineError, match="layout: 2x1 needs 2 cores"):
        verify.compared(made.best(), machine(cores=1), PATH)


def test_a_program_has_no_plain_form() -> None:
    best = made.best(baseline=None, workload=WorkloadSpec(model="command:true", inputs=()))
    with pytest.raises(MachineError, match="names no baseline; write it again with `python -m autotune export toy`"):
        verify.compared(best, HW, PATH)


def test_a_real_file_is_verified_here(tmp_path: Path, place: Place) -> None:
    """Eight rows a call against one: faster on any machine; how much faster is not asserted."""
    slow = configs.configure(hardware.probe(), batch_size=1, backend="torch_eager", knobs={"layout": "1x1"})
    claim = msgspec.structs.replace(made.best().measured, speedup=Claim(estimate=1.5, low=1.4, high=1.6))
    tiny.best(tmp_path, batch_size=8, baseline=slow, measured=claim)
    script = """
from autotune.apply.verify import verify
from autotune.apply import verification
from autotune.core.rules import ConfirmRules, MeasureRules
import msgspec
rules = MeasureRules(block_s=0.05, warmup_s=0.5, canary_s=0.01, disturbed_repeats=0)
confirm = ConfirmRules(runs=2, first_rounds=2)
said = []
found = verify(Path("best.json"), minutes=0.1, say=said.append, rules=rules, confirm=confirm)
told |= {"found": msgspec.to_builtins(found), "text": verification.text(found)}
told |= {"said": said, "torch": "torch" in sys.modules}
"""
    told = tiny.told(place, script, AUTOTUNE_LOCK=str(tmp_path / "lock"))
    assert told["found"]["verdict"] in ("holds", "unresolved", "fails")
    assert told["found"]["ratio"]["estimate"] > 1, told
    assert "preparing reference outputs" in told["said"][0] and "interleaved run 1: " in " ".join(told["said"])
    assert told["text"][0].split(":")[0] in HEADS.values()
    assert not told["torch"]
    assert not list(tmp_path.glob("autotune-verify-*"))


def test_a_model_whose_source_is_gone_cannot_be_verified(tmp_path: Path, place: Place) -> None:
    tiny.best(tmp_path)
    (tmp_path / "net.py").unlink()
    script = """
from autotune.apply.verify import verify
told["error"] = failure(verify, Path("best.json"), say=lambda line: None)
"""
    told = tiny.told(place, script, AUTOTUNE_LOCK=str(tmp_path / "lock"))
    assert "net.py" in told["error"] and "\n" not in told["error"]
    assert not list(tmp_path.glob("autotune-verify-*"))
