from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.answers import Accuracy, Fidelity
from autotune.core.best import Best, Claim, Measurements
from autotune.core.config import Config, Placement
from autotune.core.confirmation import Confirmation
from autotune.core.errors import StudyError
from autotune.core.results import ArtifactRef, Candidate, Status, TrialResult
from autotune.core.space_types import Limit
from autotune.core.workload_spec import WorkloadSpec
from autotune.report.export import best_of_study, writer
from tests.report import made
from tests.report.made import HW, PLAIN, config, confirmation, estimate, keep_latencies, keep_run, numbered, result
from tests.study.fakes import SMALL, resolved

SPACE = resolved(HW, SMALL)
FAST = config("onnxruntime", 8, allocator="tcmalloc", layout="2x1", huge_pages=True)
BASE = result(0, rates=(10, 11, 9))
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "results.md"


def winner(**fields: Any) -> TrialResult:
    return result(
        7,
        FAST,
        rates=(40, 44, 36),
        peak_rss_bytes=123,
        setup_s=1.5,
        fidelity=Fidelity(judged=True, samples=8, cosine_similarity=0.99, centred_error=0.1, max_abs_error=2.0),
        artifact=ArtifactRef(key="k", sha256="s", bytes=9, prepare_s=0.0),
        versions={"onnxruntime": "1.0"},
        **fields,
    )


def found(folder: Path, *results: TrialResult, confirmed: Confirmation | None = None) -> Best:
    best = best_of_study.best(folder, SPACE, HW, results, confirmed)
    assert best is not None
    return best


def test_best_json_reads_back_as_what_was_written(tmp_path: Path) -> None:
    fast = winner()
    keep_latencies(tmp_path / fast.spec.folder, [(0, 0, 5_000_000, 9)])
    best = found(tmp_path, BASE, fast)
    writer.write(tmp_path / "best.json", best)
    assert msgspec.json.decode((tmp_path / "best.json").read_bytes(), type=Best) == best
    assert (best.study, best.trial, best.config, best.hardware) == (tmp_path.name, 7, FAST, HW)
    assert (best.fidelity, best.versions, best.artifact) == (fast.fidelity, fast.versions, fast.artifact)
    assert best.workload == SPACE.workload
    assert best.baseline == PLAIN


def test_it_holds_what_starting_it_again_needs(tmp_path: Path) -> None:
    best = found(tmp_path, BASE, winner())
    assert best.preload == (HW.libraries["tcmalloc"],)
    assert best.environment["OMP_NUM_THREADS"] == "1"
    assert best.environment["THP_MEM_ALLOC_ENABLE"] == "1"
    assert [(place.cpus, place.threads) for place in best.layout] == [((0,), 1), ((1,), 1)]
    assert all(isinstance(place, Placement) for place in best.layout)


def test_the_figures_are_the_winners_own(tmp_path: Path) -> None:
    fast = winner()
    keep_latencies(tmp_path / fast.spec.folder, [(0, 0, 5_000_000, 9)])
    measured = found(tmp_path, BASE, fast).measured
    low, high = measured.speedup.low, measured.speedup.high
    assert measured.throughput.estimate == pytest.approx(40)
    assert measured.speedup.estimate == pytest.approx(4)
    assert low is not None and high is not None and 2 < low < 4 < high < 8
    assert measured.cpu_s_per_sample == pytest.approx(3 / 120)
    assert (measured.latency_p50_ms, measured.peak_rss_bytes, measured.setup_s) == (5.0, 123, 1.5)
    assert (measured.latency_calls, measured.latency_p90_ms, measured.latency_p99_ms) == (9, None, None)
    assert measured.noise_floor is measured.speedup.runs is measured.speedup.rounds is None


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    else:
        yield value


def test_best_json_is_data_as_documented(tmp_path: Path) -> None:
    writer.write(tmp_path / "best.json", found(tmp_path, BASE, winner()))
    plain = json.loads((tmp_path / "best.json").read_text())
    assert all(leaf is None or isinstance(leaf, bool | int | float | str) for leaf in leaves(plain))
    section = DOCUMENTATION.read_text().partition("## best.json")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == plain.keys()
    assert plain["confirmed"] is False
    assert plain["format"] == 1


def test_the_baseline_alone_is_once_as_fast_as_itself(tmp_path: Path) -> None:
    best = found(tmp_path, BASE)
    speedup = best.measured.speedup
    assert (best.trial, speedup.estimate) == (0, 1.0)
    assert (speedup.low, speedup.high) == (1.0, 1.0)
    assert best.artifact is best.fidelity is best.measured.latency_p50_ms is None


@pytest.mark.parametrize(
    "results",
    [
        [],
        [winner()],
        [result(0), winner()],
        [result(0, rates=(10,), status=Status.REJECTED), winner()],
        [result(0, status=Status.INTERRUPTED)],
    ],
)
def test_without_a_measured_baseline_there_is_nothing_to_export(tmp_path: Path, results: list[TrialResult]) -> None:
    assert best_of_study.best(tmp_path, SPACE, HW, results, None) is None
    assert best_of_study.best(tmp_path, SPACE, HW, results, confirmation(None, reason="no time")) is None


@pytest.mark.parametrize("fields", [{"status": Status.REJECTED}, {"feasible": False}])
def test_what_was_given_up_or_breaks_a_limit_is_not_exported(tmp_path: Path, fields: dict[str, Any]) -> None:
    fast = msgspec.structs.replace(winner(), **fields)
    assert found(tmp_path, BASE, fast).config == PLAIN


# -------------------------------------------------------------------------------------------------------- confirmed


def test_a_confirmed_winner_is_exported_with_its_claim(tmp_path: Path) -> None:
    """Whatever the search saw: there another was the fastest."""
    folder = "confirmation/whole-1/0001"
    candidate = Candidate(config=FAST, blocks=numbered((40,), first=1))
    keep_run(tmp_path, folder, {"winner": candidate})
    keep_latencies(tmp_path / folder / "winner", [(0, 0, 90_000_000, 99), (0, 1, 5_000_000, 50)])
    claimed = made.winner(FAST, folders=(f"{folder}/winner",), indirect=True)
    other = result(8, config("onnxruntime"), rates=(99, 99))
    best = found(tmp_path, BASE, winner(), other, confirmed=confirmation(claimed))
    writer.write(tmp_path / "best.json", best)
    assert msgspec.json.decode((tmp_path / "best.json").read_bytes(), type=Best) == best
    assert (best.trial, best.confirmed, best.config) == (7, True, FAST)
    measured = best.measured
    assert measured.speedup == Claim(estimate=4.0, low=3.9, high=4.1, runs=6, rounds=42, indirect=True)
    assert (measured.throughput, measured.noise_floor) == (claimed.throughput, 0.012)
    assert (measured.cpu_s_per_sample, measured.peak_rss_bytes, measured.setup_s) == (0.025, 123, 1.5)
    assert (measured.latency_calls, measured.latency_p50_ms, measured.latency_p90_ms) == (50, 5.0, 5.0)
    assert measured.latency_p95_ms is measured.latency_p99_ms is None
    assert (best.fidelity, best.versions, best.artifact) == (claimed.fidelity, claimed.versions, claimed.artifact)
    assert best.preload == (HW.libraries["tcmalloc"],) and len(best.layout) == 2


def test_a_winner_that_no_trial_measured_has_no_number(tmp_path: Path) -> None:
    reduced = config("onnxruntime", 8, allocator="tcmalloc", layout="2x1")
    best = found(tmp_path, BASE, winner(), confirmed=confirmation(made.winner(reduced, trial=None)))
    assert (best.trial, best.confirmed, best.config) == (None, True, reduced)
    assert "THP_MEM_ALLOC_ENABLE" not in best.environment
    assert best.measured.latency_calls is None


def test_without_a_gain_the_baseline_is_exported(tmp_path: Path) -> None:
    plain = made.winner(PLAIN, trial=0, ratio=estimate(1.0, 0.0))
    best = found(tmp_path, BASE, winner(), confirmed=confirmation(plain, gain=False))
    assert (best.trial, best.confirmed, best.config) == (0, True, PLAIN)
    assert (best.measured.speedup.estimate, best.measured.speedup.runs) == (1.0, 6)


def test_what_could_not_be_confirmed_is_exported_as_the_search_saw_it(tmp_path: Path) -> None:
    best = found(tmp_path, BASE, winner(), confirmed=confirmation(None, reason="no time"))
    assert best == found(tmp_path, BASE, winner())
    assert not best.confirmed and best.measured.speedup.runs is None


def inner(kind: type[msgspec.Struct], key: str) -> set[str]:
    return {f"{key}.{field.encode_name}" for field in msgspec.structs.fields(kind)}


def test_what_is_inside_the_keys_is_documented_too() -> None:
    section = DOCUMENTATION.read_text().partition("Inside them:")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\S+?)`", row)}
    structs = {
        "workload": WorkloadSpec,
        "config": Config,
        "layout[]": Placement,
        "measured": Measurements,
        "fidelity": Fidelity,
        "accuracy": Accuracy,
        "constraints[]": Limit,
        "artifact": ArtifactRef,
    }
    assert documented == {name for key, kind in structs.items() for name in inner(kind, key)}


def test_a_trial_whose_environment_was_removed_is_not_the_best(tmp_path: Path) -> None:
    gone = result(8, config("onnxruntime", 8, interpreter="removed"), rates=(90, 90, 90))
    assert found(tmp_path, BASE, winner(), gone).config == FAST


def test_a_winner_whose_environment_was_removed_is_one_line(tmp_path: Path) -> None:
    chosen = made.winner(config("onnxruntime", 8, interpreter="removed"))
    with pytest.raises(StudyError, match=r"interpreter removed, which cannot be started: no environment removed"):
        found(tmp_path, BASE, winner(), confirmed=confirmation(chosen))
