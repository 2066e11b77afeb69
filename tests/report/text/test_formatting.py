from __future__ import annotations

import random
import re

import pytest

from autotune.analysis.constraints import ConstraintCheck
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.results import Status, TrialResult
from autotune.core.space_types import Goal, Limit
from autotune.core.struct import Value
from autotune.report.text import formatting
from autotune.study.model import suggest
from autotune.study.ranking import Ranking
from tests.report.made import HW, PLAIN, config, estimate, result
from tests.study.fakes import DOMAINS


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (PLAIN, "torch_eager contiguous float32, batch 1, 1x2"),
        (config("openvino", 8, {"precision": "int8"}, layout="2x1", allocator="tcmalloc"),
         "openvino int8, batch 8, 2x1, tcmalloc"),
        (config("torch_compile", 4, {"freezing": True, "memory_format": "channels_last"}, huge_pages=True),
         "torch_compile channels_last float32 freezing, batch 4, 1x2, huge_pages"),
        (config("torch_compile", 4, {"freezing": False}), "torch_compile contiguous float32, batch 4, 1x2"),
        (config("onnxruntime", allocator="jemalloc", huge_pages=True),
         "onnxruntime float32, batch 1, 1x2, jemalloc, huge_pages"),
    ],
)  # fmt: skip
def test_a_configuration_names_what_is_on(found: Config, text: str) -> None:
    assert formatting.configuration(found) == text


def test_no_two_configurations_read_the_same() -> None:
    configs = list(suggest.untried(DOMAINS, HW, (), random.Random(0)))
    assert len({formatting.configuration(found) for found in configs}) == len(configs) == suggest.count(DOMAINS) > 100


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(estimate=96.42, low=94.4, high=98.44), "96.4/s ±2.1 %"),
        (Estimate(estimate=1234.4, low=None, high=None), "1234/s"),
        (Estimate(estimate=10.04, low=None, high=None), "10.0/s"),
        (Estimate(estimate=9.9996, low=None, high=None), "10.0/s"),
        (Estimate(estimate=5, low=None, high=None), "5.00/s"),
        (Estimate(estimate=0.01234, low=0.01234, high=0.01234), "0.0123/s ±0.0 %"),
    ],
)
def test_a_rate_has_three_figures_or_more(estimate: Estimate, text: str) -> None:
    assert formatting.rate(estimate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (59.6, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7380, "2 h 03 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


def test_a_speedup_needs_both_rates() -> None:
    base, fast, failed = result(0, rates=(10, 10)), result(1, rates=(79.1, 79.1)), result(2)
    ranking = Ranking([base, fast, failed], Goal())
    assert formatting.speedup(ranking, fast, base) == "7.91x"
    assert formatting.speedup(ranking, base, base) == "1.00x"
    assert formatting.speedup(ranking, fast, None) == formatting.speedup(ranking, failed, base) == ""


def outcome(found: TrialResult) -> str:
    return formatting.outcome(Ranking([found], Goal()), found)


def test_an_outcome_is_the_rate_or_the_status() -> None:
    assert outcome(result(0, rates=(50, 50))) == "50.0/s ±0.0 %"
    assert outcome(result(0, rates=(50,), status=Status.REJECTED)) == "50.0/s (slow)"
    assert outcome(result(0, status=Status.OUT_OF_MEMORY)) == "out of memory"


def test_every_failure_reads_as_words() -> None:
    assert all(re.fullmatch("[a-z ]+", outcome(result(0, status=status))) for status in Status)


@pytest.mark.parametrize(
    ("found", "text"),
    [(estimate(3.666, 0.1), " (3.57 to 3.77)"), (estimate(1.0, 0.0), " (1.00 to 1.00)"), (estimate(2.0), "")],
)
def test_an_interval_is_named_where_there_is_one(found: Estimate, text: str) -> None:
    assert formatting.between(found) == text


def test_a_latency_bears_its_percentile() -> None:
    assert formatting.latency(("p50", 180.34)) == "p50 180.3 ms"
    assert formatting.latency(None) == ""


@pytest.mark.parametrize(
    ("value", "instead", "text"),
    [
        ("tcmalloc", "system", "knob tcmalloc instead of system"),
        (True, False, "knob true instead of false"),
        (8, 1, "knob 8 instead of 1"),
        (0.5, 1, "knob 0.5 instead of 1"),
    ],
)
def test_a_change_reads_as_a_space_file_has_it(value: Value, instead: Value, text: str) -> None:
    assert formatting.change("knob", value, instead) == text


def test_the_limit_that_is_nearest_or_refuses_is_named() -> None:
    inside = ConstraintCheck(Limit(metric="setup_s", max=10.0), "setup_s", 7.5)
    soft, hard = (Limit(metric="accuracy", min=0.9), Limit(metric="accuracy", min=0.9, unjudged="reject"))
    unknown = [ConstraintCheck(limit, None, None) for limit in (soft, hard)]
    assert formatting.limits([]) == ""
    assert formatting.limits([unknown[0]]) == "unjudged"
    assert formatting.limits([unknown[0], inside]) == "setup_s 25 % inside"
    assert formatting.limits([unknown[1], inside]) == "accuracy unjudged"
