from __future__ import annotations

import msgspec
import pytest

from autotune.core.results import Probe, Served, Sustained
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.served_finalist import LOWER, ServedFinalist
from tests.report.made import result


def finalist(rate: float, *tried: Sustained, name: str = "trial-1") -> ServedFinalist:
    served = None if rate == 0 else Served(rate=rate, probes=())
    return ServedFinalist(name, msgspec.structs.replace(result(1, rates=(10,)), served=served), list(tried))


def asked(rate: float, *, kept: bool, **shown: float) -> Sustained:
    probe = Probe(rate=rate, seconds=60.0, requests=600, over=0, latency_ms=20.0, kept=kept)
    return msgspec.convert(msgspec.to_builtins(Sustained(probe=probe)) | shown, Sustained)


LOST, KEPT = asked(100.0, kept=False), asked(90.0, kept=True, setup_s=2.0)
FAILED = Sustained(error="it broke")


def test_each_rate_that_is_not_kept_lowers_the_next_one() -> None:
    assert [finalist(100.0, *[LOST] * count).next_rate for count in range(3)] == pytest.approx(
        [100.0, 100 * LOWER, 100 * LOWER**2]
    )


@pytest.mark.parametrize(
    ("tried", "finished", "rate"),
    [((), False, 0.0), ((LOST,), False, 0.0), ((LOST, KEPT), True, 90.0), ((FAILED,), True, 0.0)],
)
def test_one_that_kept_a_rate_or_failed_is_finished(tried: tuple[Sustained, ...], finished: bool, rate: float) -> None:
    found = finalist(100.0, *tried)
    assert (found.finished, found.kept_rate) == (finished, rate)


def test_the_result_has_what_the_workers_that_kept_the_rate_showed() -> None:
    kept = finalist(100.0, LOST, KEPT).result
    assert kept.served is not None and (kept.served.rate, kept.setup_s) == (90.0, 2.0)
    lost = finalist(100.0, LOST)
    assert lost.result is lost.trial


@pytest.mark.parametrize(
    ("found", "could_win", "outcome"),
    [
        (finalist(100.0, LOST, KEPT), True, "kept 90 requests a second for 60 s"),
        (finalist(0), True, "the search found no rate of requests that it keeps"),
        (finalist(100.0), True, "not tried: no time for 100 requests a second"),
        (finalist(100.0), False, "not tried: 100 requests a second cannot win"),
        (finalist(100.0, LOST), True, "did not keep 100 requests a second; no time for 90 requests a second"),
    ],
)
def test_the_outcome_says_why_no_further_rate_was_tried(found: ServedFinalist, could_win: bool, outcome: str) -> None:
    assert found.outcome(could_win) == outcome


def test_the_baseline_is_known_by_its_name() -> None:
    assert finalist(1.0, name=BASELINE).is_baseline and not finalist(1.0).is_baseline
