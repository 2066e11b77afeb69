"""Summaries for limits, prices and objectives other than the throughput."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.confirmation import Finalist
from autotune.core.results import Probe, Served
from autotune.core.space_types import Limit, Price
from tests.report.folders import FAST
from tests.report.made import PLAIN, confirmation, estimate, winner
from tests.report.text.summarised import OTHER, RESULTS, asked, baseline_won, said


def test_limits_are_shown_with_their_margin(tmp_path: Path) -> None:
    space = asked(constraints=(Limit(metric="setup_s", max=10.0), Limit(metric="cosine_similarity", min=0.9)))
    fast = msgspec.structs.replace(RESULTS[1], setup_s=7.5)
    lines = said(tmp_path, (RESULTS[0], fast), space=space)
    assert "limit     setup_s is 7.5, allowed at most 10: kept, 25 % inside" in lines
    assert "limit     cosine_similarity at least 0.9: not judged (its answers were not compared)" in lines
    found = confirmation(winner(FAST, metrics={"setup_s": 12.0}))
    lines = said(tmp_path, (RESULTS[0], fast), found=found, space=space)
    assert "limit     setup_s is 12, allowed at most 10: BROKEN, 20 % beyond" in lines


def test_where_nothing_keeps_the_limits_the_nearest_is_named_with_the_limit_in_the_way(tmp_path: Path) -> None:
    space = asked(constraints=(Limit(metric="throughput", min=100.0), Limit(metric="cpu_s_per_sample", max=1.0)))
    results = tuple(msgspec.structs.replace(one, feasible=False) for one in RESULTS)
    assert said(tmp_path, results, space=space)[:3] == [
        "none      no configuration of 2 keeps the limits",
        "nearest   onnxruntime float32, batch 8, 1x2 (trial 1)",
        "limit     throughput is 40, allowed at least 100: 60 % beyond",
    ]


def test_a_limit_that_is_broken_while_confirming_is_the_one_in_the_way(tmp_path: Path) -> None:
    results = tuple(msgspec.structs.replace(one, feasible=False) for one in RESULTS)
    finalist = Finalist(trial=0, config=PLAIN, ratio=None, broken="setup_s is 12, allowed at most 10")
    found = confirmation(None, finalists=(finalist,), reason="no finalist kept the limits")
    lines = said(tmp_path, results, space=asked(constraints=(Limit(metric="setup_s", max=10.0),)), found=found)
    assert "limit     setup_s is 12, allowed at most 10: BROKEN while it was confirmed" in lines


def test_a_hard_limit_that_cannot_be_judged_is_in_the_way(tmp_path: Path) -> None:
    space = asked(constraints=(Limit(metric="cosine_similarity", min=0.99, unjudged="reject"),))
    results = tuple(msgspec.structs.replace(one, feasible=False) for one in RESULTS)
    lines = said(tmp_path, results, space=space)
    assert lines[2] == "limit     cosine_similarity is not judged: refused, allowed at least 0.99"


def test_a_winner_that_is_not_faster_keeps_a_limit_that_the_plain_model_breaks(tmp_path: Path) -> None:
    lines = said(tmp_path, found=confirmation(winner(FAST), gain=False))
    assert lines[:2] == [
        "best      onnxruntime float32, batch 8, 1x2",
        "no gain   nothing is shown to be faster than the baseline, which breaks a limit that this keeps",
    ]


def test_the_price_is_said_with_its_date(tmp_path: Path) -> None:
    space = asked(price=Price(per_hour=0.36, currency="USD", date="2026-11-01"))
    lines = said(tmp_path, space=space)
    assert "price     2.50 USD per million samples at 0.36 an hour, prices of 2026-11-01" in lines


def test_a_front_is_listed_with_its_knee(tmp_path: Path) -> None:
    space = asked(objective=("throughput", "peak_rss_bytes"))
    small, large = (
        msgspec.structs.replace(one, peak_rss_bytes=size * 2**20) for one, size in zip(RESULTS, (100, 120), strict=True)
    )
    lines = said(tmp_path, (small, large), space=space)
    at = lines.index("the front: none is better than another in every objective (export --pick TRIAL takes another)")
    assert lines[at + 1 :] == [
        "      0        10.0/s       100 MiB  torch_eager contiguous float32, batch 1, 1x2 (the knee)",
        "      1        40.0/s       120 MiB  onnxruntime float32, batch 8, 1x2",
    ]


def test_a_rate_of_requests_is_said_as_it_was_served(tmp_path: Path) -> None:
    space = asked(objective="served_rate")
    probe = Probe(rate=84.0, seconds=60.0, requests=5040, over=4, latency_ms=91.2, kept=True)
    found = confirmation(winner(FAST, sustained=probe, runs=0, rounds=0, ratio=estimate(3.0)))
    lines = said(tmp_path, found=found, space=space)
    assert "gain      3.00x more served_rate than the baseline, confirmed" in lines
    assert "served    84.0 requests a second for 60 s, latency 91.2 ms from arrival, 4 of 5040 over the limit" in lines


@pytest.mark.parametrize(
    ("objective", "ahead"),
    [
        ("cost_per_million", "be faster"),
        ("latency_p99_ms", "have less latency_p99_ms"),
        (("throughput", "setup_s"), "be better in any objective"),
    ],
)
def test_no_gain_is_said_of_what_was_wanted(tmp_path: Path, objective: str | tuple[str, ...], ahead: str) -> None:
    found = confirmation(baseline_won(), gain=False, finalists=())
    space = asked(objective=objective, price=Price(per_hour=1.0))
    told = msgspec.structs.replace(found, winner=baseline_won(metrics={"cost_per_million": 1.0}))
    assert said(tmp_path, found=told, space=space)[0] == f"no gain   nothing is shown to {ahead} than the baseline"


def test_a_search_that_found_nothing_better_says_in_what(tmp_path: Path) -> None:
    results = tuple(
        msgspec.structs.replace(one, setup_s=seconds) for one, seconds in zip(RESULTS, (1.25, 3.0), strict=True)
    )
    lines = said(tmp_path, results, space=asked(objective="setup_s"))
    assert lines[:3] == [
        "no gain   nothing is expected to have less setup_s than the baseline, from the search alone: not confirmed",
        "rate      10.0/s ±1.7 %",
        "          setup_s 1.25 s, in one window each",
    ]


def test_a_gain_is_that_of_the_objective(tmp_path: Path) -> None:
    """It was that of the rate, four times as much."""
    results = tuple(
        msgspec.structs.replace(one, setup_s=seconds) for one, seconds in zip(RESULTS, (3.0, 1.5), strict=True)
    )
    lines = said(tmp_path, results, space=asked(objective="setup_s"))
    assert lines[2].startswith("expected  2.00x (1.")
    assert lines[2].endswith(" less setup_s than the baseline, from the search alone: not confirmed")
    assert lines[3] == "          setup_s 1.50 s, the baseline's 3.00 s, in one window each"


def test_a_knee_of_the_search_is_that_of_single_windows(tmp_path: Path) -> None:
    sizes = (2**27, 2**26)
    results = tuple(msgspec.structs.replace(one, peak_rss_bytes=size) for one, size in zip(RESULTS, sizes, strict=True))
    lines = said(tmp_path, results, space=asked(objective=("throughput", "peak_rss_bytes")))
    assert lines[2:5] == [
        "knee      of the front, against the baseline in each objective, from the search alone: not confirmed",
        "          throughput 40.0/s, the baseline's 10.0/s, in one window each",
        "          peak_rss_bytes 64 MiB, the baseline's 128 MiB, in one window each",
    ]


def test_a_knee_has_a_line_an_objective(tmp_path: Path) -> None:
    ratios = {"throughput": estimate(4.0, 0.1), "peak_rss_bytes": estimate(0.8, 0.01)}
    finalists = (Finalist(trial=1, config=FAST, ratio=ratios["throughput"], ratios=ratios),)
    results = tuple(msgspec.structs.replace(one, peak_rss_bytes=2**27) for one in RESULTS)
    space = asked(objective=("throughput", "peak_rss_bytes"))
    lines = said(tmp_path, results, found=confirmation(winner(FAST), finalists=finalists), space=space)
    assert lines[2:5] == [
        "knee      of the front, against the baseline in each objective, confirmed in 6 interleaved runs, 42 rounds",
        "          4.00x (3.90 to 4.10) more throughput than the baseline",
        "          0.80x (0.79 to 0.81) less peak_rss_bytes than the baseline",
    ]
    assert not any(line.startswith(("speed-up", "gain")) for line in lines)
    assert "finalists, against the baseline, by throughput" in lines


def test_finalists_by_another_objective_are_not_called_fast(tmp_path: Path) -> None:
    finalists = (
        Finalist(trial=1, config=FAST, ratio=estimate(4.0, 0.1)),
        Finalist(trial=2, config=OTHER, ratio=estimate(3.0, 0.1), verdict="faster", behind=estimate(1.3)),
    )
    lines = said(tmp_path, found=confirmation(winner(FAST), finalists=finalists), space=asked(objective="setup_s"))
    assert lines[-2].endswith("1x2: the best")
    assert lines[-1].endswith("1x2: behind the best; the best is ahead by 1.30x")


def test_each_finalist_says_what_became_of_its_rate_of_requests(tmp_path: Path) -> None:
    kept = "kept 84 requests a second for 60 s"
    finalists = (
        Finalist(trial=1, config=FAST, ratio=None, served=kept),
        Finalist(trial=2, config=OTHER, ratio=None, served="not tried: 60 requests a second cannot win"),
        Finalist(trial=3, config=OTHER, ratio=None, error="it broke", served="did not keep 80 requests a second"),
        Finalist(trial=0, config=PLAIN, ratio=None, served="not tried: no time for 10 requests a second"),
    )
    found = confirmation(winner(FAST, ratio=None, runs=0, rounds=0), gain=False, finalists=finalists)
    lines = said(tmp_path, found=found, space=asked(objective="served_rate"))
    assert lines[:2] == [
        "best      onnxruntime float32, batch 8, 1x2",
        "no gain   none is claimed: the baseline was not confirmed",
    ]
    said_of = [line.split(": ", 1)[1] for line in lines[-4:]]
    assert said_of == [kept, finalists[1].served, "failed: it broke", finalists[3].served]
    gained = said(tmp_path, found=msgspec.structs.replace(found, gain=True), space=asked(objective="served_rate"))
    assert "gain      the baseline serves no request within the limit" in gained


def test_where_nobody_serves_any_request_that_is_said(tmp_path: Path) -> None:
    probe = Probe(rate=1.0, seconds=6.0, requests=6, over=6, latency_ms=212.0, kept=False)
    results = tuple(
        msgspec.structs.replace(one, feasible=False, served=Served(rate=0.0, probes=(probe,))) for one in RESULTS
    )
    assert said(tmp_path, results, space=asked(objective="served_rate"))[0] == (
        "none      no configuration of 2 serves requests within the latency of workload.serving: "
        "the least seen is 212.0 ms"
    )
