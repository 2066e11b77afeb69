from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune import space
from autotune.claims import Confirmation
from autotune.results import Probe, Served
from autotune.rules import ConfirmRules, MeasureRules
from autotune.study import confirm, store
from autotune.study.opening import OpenStudy
from autotune.study.sustain import LOWER, SECONDS, START_S
from autotune.types import Config, TrialSpec
from tests.study.fakes import Clock, Sitter, Watcher, machine, plain, searched

HW = machine()
PLAIN = plain(HW)
FAST = space.configure(HW, batch_size=8, backend="openvino")
OTHER = space.configure(HW, batch_size=4, backend="openvino")
RULES, CONFIRM = MeasureRules(), ConfirmRules()
AMPLE = 30.0


class Server:
    """A `sustain` that keeps a rate up to a configuration's own, and takes its minute of the clock."""

    def __init__(self, most: dict[Config, float]) -> None:
        self.most = most
        self.clock = Clock()
        self.asked: list[tuple[Config, float]] = []

    def __call__(self, spec: TrialSpec, rules: MeasureRules, rate: float, seconds: float) -> Probe | None:
        assert seconds == SECONDS
        self.asked.append((spec.config, rate))
        self.clock.now += seconds + 5
        if spec.config not in self.most:
            return None
        kept = rate <= self.most[spec.config]
        return Probe(rate=rate, seconds=seconds, requests=100, over=0, latency_ms=50.0, kept=kept)


def confirmed(
    folder: Path, searched_rates: dict[Config, float], server: Server, minutes: float = AMPLE
) -> Confirmation:
    """What is confirmed after a search that found these rates of requests."""
    served = {config: Served(rate=rate, probes=()) for config, rate in searched_rates.items()}
    study = searched(folder, dict.fromkeys(searched_rates, 10.0), minutes, served=served)
    wanted = msgspec.structs.replace(study.space, objective="served_rate")
    study = OpenStudy(folder=folder, space=wanted, hardware=HW, optuna=study.optuna, url=study.url)
    sit = Sitter(folder, clock=server.clock)
    found = confirm.confirm(study, sit, Watcher(), RULES, CONFIRM, sustain=server, clock=server.clock)
    assert found is not None
    assert store.confirmation(folder) == found
    assert sit.asked == []
    return found


def test_the_best_rate_that_is_kept_for_a_minute_wins(tmp_path: Path) -> None:
    server = Server({PLAIN: 10.0, FAST: 100.0, OTHER: 70.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, OTHER: 60.0, FAST: 80.0}, server)
    assert found.winner is not None and found.winner.sustained is not None
    assert (found.confirmed, found.gain, found.winner.config) == (True, True, FAST)
    assert (found.winner.sustained.rate, found.winner.figures["served_rate"]) == (80.0, 80.0)
    assert found.winner.ratio.estimate == pytest.approx(8.0) and found.winner.ratio.low is None
    assert server.asked == [(FAST, 80.0), (PLAIN, 10.0)]  # the other could not have won


def test_a_rate_that_is_not_kept_is_lowered(tmp_path: Path) -> None:
    server = Server({PLAIN: 10.0, FAST: 75.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 80.0}, server)
    assert found.winner is not None and found.winner.sustained is not None
    assert found.winner.sustained.rate == pytest.approx(80 * LOWER**2)
    assert [rate for config, rate in server.asked if config == FAST] == pytest.approx([80, 76, 72.2])


def test_a_finalist_that_fails_gives_way(tmp_path: Path) -> None:
    server = Server({PLAIN: 10.0, OTHER: 60.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, OTHER: 60.0, FAST: 80.0}, server)
    assert found.winner is not None and found.winner.config == OTHER
    assert [one.error is None for one in found.finalists] == [False, True, True]


def test_without_a_gain_the_plain_model_wins(tmp_path: Path) -> None:
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 12.0}, Server({PLAIN: 10.0}))
    assert (found.confirmed, found.gain) == (True, False)
    assert found.winner is not None and found.winner.config == PLAIN


def test_no_minute_begins_that_cannot_end_in_time(tmp_path: Path) -> None:
    share = CONFIRM.share * 60
    server = Server({PLAIN: 10.0, FAST: 80.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 80.0}, server, minutes=(SECONDS + START_S + 1) / share)
    assert [config for config, _ in server.asked] == [FAST]
    assert found.confirmed and found.winner is not None and found.winner.ratio.low is None
    none = confirmed(tmp_path / "short", {PLAIN: 10.0, FAST: 80.0}, Server({}), minutes=SECONDS / share)
    assert (none.confirmed, none.winner) == (False, None)
    assert none.reason == "no rate of requests was kept for 60 s within the time"


def test_where_no_rate_was_found_nothing_is_served(tmp_path: Path) -> None:
    server = Server({PLAIN: 10.0, FAST: 80.0})
    found = confirmed(tmp_path, {PLAIN: 0.0, FAST: 0.0}, server)
    assert not found.confirmed and server.asked == []
