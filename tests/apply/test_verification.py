from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import pytest

from autotune.apply import verification
from autotune.apply.verification import Verification, judge
from autotune.core.best import Claim
from autotune.core.estimate import Estimate
from autotune.core.results import Probe
from autotune.core.rules import ConfirmRules

CLAIM = Claim(estimate=4.0, low=3.9, high=4.1, runs=6, rounds=42)
DELTA = ConfirmRules().delta
PAGE = Path(__file__).parents[2] / "docs" / "verify.md"


def now(low: float, high: float) -> Estimate:
    return Estimate(estimate=math.sqrt(low * high), low=low, high=high)


@pytest.mark.parametrize(
    ("found", "claim", "expected"),
    [
        (now(3.9, 4.1), CLAIM, "holds"),
        (now(3.8, 9.0), CLAIM, "holds"),  # above 3.9 less 3 % as a whole, however wide
        (now(3.6, 3.8), CLAIM, "holds"),  # reaches it
        (now(3.6, 3.78), CLAIM, "fails"),  # 3.9 / 1.03 is 3.786
        (now(1.0, 3.0), CLAIM, "fails"),
        (now(3.0, 4.5), CLAIM, "unresolved"),  # ±22 %
        (now(0.99, 1.05), Claim(estimate=1.08, low=1.05, high=1.11), "unresolved"),  # no gain is possible, too
        (now(1.01, 1.05), Claim(estimate=1.08, low=1.05, high=1.11), "holds"),
        (now(0.98, 1.02), Claim(estimate=1.0, low=1.0, high=1.0), "holds"),  # no gain was claimed
        (now(3.85, 3.95), Claim(estimate=4.0, low=None, high=None), "holds"),
        (now(3.75, 3.85), Claim(estimate=4.0, low=None, high=None), "fails"),
        (Estimate(estimate=4.0, low=None, high=None), CLAIM, "unresolved"),
        (None, CLAIM, "unresolved"),
        (now(3.9, 4.1), None, "unresolved"),
    ],
)
def test_a_claim_holds_fails_or_is_not_resolved(found: Estimate | None, claim: Claim | None, expected: str) -> None:
    said, why = judge(found, claim, DELTA)
    assert said == expected
    assert (why is None) == (said == "holds")


def a_verification(**fields: object) -> Verification:
    given = {
        "verdict": "holds",
        "reasons": (),
        "objective": "throughput",
        "ratio": now(3.88, 4.02),
        "claimed": CLAIM,
        "baseline_known": True,
        "differences": (),
    }
    return msgspec.convert(given | fields, Verification)


def test_the_words_begin_with_the_verdict() -> None:
    both = {"throughput": now(39, 41), "baseline_throughput": now(9.9, 10.1), "sittings": 6, "rounds": 40}
    assert verification.text(a_verification(**both)) == [
        "The claim holds: it is 3.95x (3.88 to 4.02) over the baseline now; 4.00x (3.90 to 4.10) was claimed.",
        "rates     40.0/s ±2.5 %, the baseline 10.0/s ±1.0 %, in 6 interleaved runs and 40 rounds",
    ]


def test_the_words_say_what_speaks_against_it() -> None:
    lines = verification.text(
        a_verification(
            verdict="fails",
            reasons=("the winner failed: it broke",),
            ratio=None,
            baseline_known=False,
            differences=("tuned on A; this is B",),
            logs="/tmp/x",
        )
    )
    assert lines == [
        "The claim does not hold: nothing could be compared; 4.00x (3.90 to 4.10) was claimed.",
        "because   the winner failed: it broke",
        "baseline  the plain model: the file does not say what its speed-up is over",
        "differs   tuned on A; this is B",
        "logs      /tmp/x",
    ]


def test_other_objectives_have_their_own_words() -> None:
    latency = verification.text(a_verification(objective="latency_p50_ms"))[0]
    assert "3.95x (3.88 to 4.02) less latency_p50_ms than the baseline now" in latency
    probe = Probe(rate=50, seconds=60, requests=3000, over=1, latency_ms=80, kept=True)
    served = verification.text(a_verification(objective="served_rate", ratio=None, served=probe))[0]
    assert (
        served.startswith("The claim holds: 50.0 requests a second for 60 s") and "97 % of what was claimed" in served
    )


def test_what_is_not_resolved_is_not_upheld() -> None:
    found = {said: a_verification(verdict=said).holds for said in ("holds", "fails", "unresolved")}
    assert found == {"holds": True, "fails": False, "unresolved": False}


def test_the_documentation_lists_every_key_for_scripts() -> None:
    section = PAGE.read_text().partition("## For scripts")[2]
    documented = {
        name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert documented == msgspec.to_builtins(a_verification()).keys()
