from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.apply import verify
from autotune.apply.verdict import HEADS
from autotune.apply.verify import Checking
from autotune.core.best import Best, Claim
from autotune.core.errors import MachineError, StudyError
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Limit
from autotune.core.workload_spec import ServingSpec, WorkloadSpec
from autotune.hardware import probe as hardware
from autotune.report.export import export
from autotune.space import configs
from autotune.study.confirm.ablation import WINNER
from autotune.study.confirm.decision import BASELINE
from tests.apply import made, tiny
from tests.apply.made import FAST
from tests.fake_executor import FakeExecutor, at
from tests.report.made import HW, PLAIN
from tests.study.fakes import machine
from tests.test_main import Place

PATH = Path("best.json")


def checking(root: Path, sitter: FakeExecutor, best: Best) -> Checking:
    configs = verify.compared(best, HW, PATH)
    return Checking(best, HW, configs, root, MeasureRules(), ConfirmRules(), sitter.clock)


def sat(root: Path, ratio: float, seconds: float = 120.0, best: Best | None = None, **given: Any) -> Any:
    """What a verification finds where the winner is so many times as fast as the baseline, and who sat for it."""
    sitter = FakeExecutor(root, candidate=at({PLAIN: 10.0, FAST: 10.0 * ratio}), **given)
    return checking(root, sitter, best or made.best()).run(sitter, seconds), sitter


def test_a_claim_that_is_still_true_holds(tmp_path: Path) -> None:
    found, sitter = sat(tmp_path, 2.0)
    assert (found.verdict, found.reasons, found.holds, found.logs) == ("holds", (), True, None)
    assert found.ratio.low < 2.0 < found.ratio.high
    assert (found.runs, len(sitter.runs)) == (ConfirmRules().runs, ConfirmRules().runs)
    assert found.rounds == sum(spec.rounds for spec in sitter.runs)
    assert found.throughput.estimate == pytest.approx(20, rel=0.02)
    assert found.baseline_throughput.estimate == pytest.approx(10, rel=0.02)
    assert found.seconds > 0 and found.claimed == made.best().measured.speedup
    assert set(sitter.runs[0].configs) == {WINNER, BASELINE} and sitter.runs[0].together


def test_a_gain_that_is_gone_fails(tmp_path: Path) -> None:
    found, _ = sat(tmp_path, 1.5)
    assert (found.verdict, found.holds) == ("fails", False)
    assert found.reasons == ("it lies below the claimed 1.90x less 3 %",)


def test_more_than_was_claimed_holds(tmp_path: Path) -> None:
    assert sat(tmp_path, 3.0)[0].holds


def test_noise_goes_on_to_the_end_of_the_time_and_is_not_resolved(tmp_path: Path) -> None:
    found, sitter = sat(tmp_path, 1.9, noise=2.0)
    assert found.verdict == "unresolved" and "raise --minutes" in found.reasons[0]
    assert len(sitter.runs) > ConfirmRules().runs
    assert found.seconds <= 130


def test_too_little_time_is_not_resolved(tmp_path: Path) -> None:
    found, _ = sat(tmp_path, 2.0, seconds=2.0)
    assert (found.verdict, found.ratio.low) == ("unresolved", None)
    assert "fewer than two interleaved runs" in found.reasons[0]
    nothing, _ = sat(tmp_path / "none", 2.0, seconds=-1.0)
    assert (nothing.verdict, nothing.ratio, nothing.throughput) == ("unresolved", None, None)


def fails(name: str) -> Any:
    return lambda one, spec: 0 if one == name else None


def test_a_winner_that_does_not_run_fails_and_leaves_its_logs(tmp_path: Path) -> None:
    found, sitter = sat(tmp_path, 2.0, fails=fails(WINNER))
    assert (found.verdict, found.reasons) == ("fails", ("the winner failed: a made-up crash",))
    assert (found.logs, len(sitter.runs)) == (str(tmp_path), 2)


def test_without_a_baseline_nothing_is_known(tmp_path: Path) -> None:
    found, _ = sat(tmp_path, 2.0, fails=fails(BASELINE))
    assert (found.verdict, found.reasons) == ("unresolved", ("the baseline failed: a made-up crash",))


def test_a_failure_is_said_though_there_was_time_for_one_run_only(tmp_path: Path) -> None:
    found, sitter = sat(tmp_path, 2.0, seconds=2.0, fails=fails(WINNER))
    assert len(sitter.runs) == 1
    assert (found.verdict, found.reasons) == ("fails", ("the winner failed: a made-up crash",))


def test_a_limit_that_is_broken_fails(tmp_path: Path) -> None:
    limit = Limit(metric="peak_rss_bytes", max=2**20)
    found, _ = sat(tmp_path, 2.0, best=made.best(constraints=(limit,)))
    assert found.verdict == "fails"
    assert found.reasons == ("peak_rss_bytes is 2.684e+08, allowed at most 1.04858e+06",)


def test_costs_are_limited_by_the_price_they_were_found_with(tmp_path: Path) -> None:
    """0.10 a million at 40/s is 0.0144 an hour; at 20/s it is twice as dear."""
    measured = msgspec.structs.replace(made.best().measured, cost_per_million=0.1)
    limit = Limit(metric="cost_per_million", max=0.15)
    found, _ = sat(tmp_path, 2.0, best=made.best(measured=measured, constraints=(limit,)))
    assert found.verdict == "fails" and found.reasons[0].startswith("cost_per_million is 0.")


def test_two_that_do_not_fit_into_memory_sit_one_after_the_other(tmp_path: Path) -> None:
    measured = msgspec.structs.replace(made.best().measured, peak_rss_bytes=2**33)
    _, sitter = sat(tmp_path, 2.0, best=made.best(measured=measured))
    assert not sitter.runs[0].together


def test_the_objective_is_what_was_asked_for(tmp_path: Path) -> None:
    found, sitter = sat(tmp_path, 2.0, best=made.best(objective=("cpu_s_per_sample",)))
    assert (found.objective, sitter.runs[0].objective) == ("cpu_s_per_sample", "cpu_s_per_sample")
    assert found.ratio.estimate == pytest.approx(2, rel=0.02)


# --------------------------------------------------------------------------------------------------- what is claimed


def test_a_file_that_claims_nothing_is_not_verified(tmp_path: Path) -> None:
    silent = msgspec.structs.replace(made.best().measured, speedup=None)
    found = {
        "its figures are the search's own, never confirmed; run the study again": made.best(confirmed=False),
        "the baseline's figure was not confirmed; tune again": made.best(measured=silent),
    }
    for says, best in found.items():
        export.write(tmp_path / "best.json", best)
        with pytest.raises(StudyError, match=rf"^{tmp_path}/best\.json has no claim to verify: {says}") as caught:
            verify.verify(tmp_path / "best.json", say=pytest.fail)
        assert "\n" not in str(caught.value)


def test_a_claim_is_read(tmp_path: Path) -> None:
    for best in (made.best(), serves()):
        export.write(tmp_path / "best.json", best)
        assert verify.claimed(tmp_path / "best.json") == best


# -------------------------------------------------------------------------------------------------- what is compared


def test_the_files_own_baseline_is_compared() -> None:
    other = configs.configure(HW, batch_size=4, backend="torch_eager")
    assert verify.compared(made.best(baseline=other), HW, PATH) == {WINNER: FAST, BASELINE: other}


def test_an_older_file_is_compared_with_the_plain_model(tmp_path: Path) -> None:
    best = made.best(baseline=None)
    assert verify.compared(best, HW, PATH)[BASELINE] == PLAIN
    sitter = FakeExecutor(tmp_path)
    assert not checking(tmp_path, sitter, best).run(sitter, 120).baseline_known


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


# ------------------------------------------------------------------------------------------------------ served rates


def serves(**fields: Any) -> Best:
    """A winner that served 100 requests a second; it has no speed-up where the baseline's rate is not known."""
    measured = msgspec.structs.replace(made.best().measured, served_rate=100.0, speedup=None)
    workload = msgspec.structs.replace(made.best().workload, serving=ServingSpec(latency_ms=50.0))
    return made.best(workload=workload, measured=measured, objective=("served_rate",), **fields)


def server(kept: bool | None) -> FakeExecutor:
    """An executor that keeps any rate, or none, or fails."""
    return FakeExecutor(
        serves={} if kept is None else {FAST: 1000.0 if kept else 0.0}, shows={FAST: {"peak_rss_bytes": 2**28}}
    )


@pytest.mark.parametrize(("kept", "expected"), [(True, "holds"), (False, "fails"), (None, "fails")])
def test_a_served_rate_is_served_again(tmp_path: Path, kept: bool | None, expected: str) -> None:
    serving = server(kept)
    found = checking(tmp_path, serving, serves()).served(serving)
    assert (found.verdict, [rate for _, rate in serving.requests]) == (expected, [pytest.approx(97)])
    assert (found.logs is not None) == (kept is None)
    assert found.claimed is None


def test_who_serves_must_keep_the_limits_too(tmp_path: Path) -> None:
    limit = Limit(metric="peak_rss_bytes", max=2**20)
    serving = server(True)
    found = checking(tmp_path, serving, serves(constraints=(limit,))).served(serving)
    assert found.verdict == "fails" and found.reasons[0].startswith("peak_rss_bytes is ")


def test_a_hard_limit_on_outputs_refuses_who_serves_without_a_comparison(tmp_path: Path) -> None:
    """The throughput under a load test is not measured, and a limit on it not looked at."""
    limits = [Limit(metric=name, min=0.5, unjudged="reject") for name in ("throughput", "cosine_similarity")]
    serving = server(True)
    found = checking(tmp_path, serving, serves(constraints=tuple(limits))).served(serving)
    assert found.reasons == ("cosine_similarity is not judged: refused, allowed at least 0.5",)


# ------------------------------------------------------------------------------------------------------ the whole way


def test_a_real_file_is_verified_here(tmp_path: Path, place: Place) -> None:
    """Eight rows a call against one: faster on any machine; how much faster is not asserted."""
    slow = configs.configure(hardware.probe(), batch_size=1, backend="torch_eager", knobs={"layout": "1x1"})
    claim = msgspec.structs.replace(made.best().measured, speedup=Claim(estimate=1.5, low=1.4, high=1.6))
    tiny.best(tmp_path, batch_size=8, baseline=slow, measured=claim)
    script = """
from autotune.apply.verify import verify
from autotune.apply import verdict
import msgspec
said = []
found = verify(Path("best.json"), minutes=0.7, say=said.append)
told |= {"found": msgspec.to_builtins(found), "text": verdict.text(found)}
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
