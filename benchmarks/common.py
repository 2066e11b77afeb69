"""What several benchmarks share."""

from __future__ import annotations

import math
import statistics
import subprocess
from collections.abc import Sequence

from scipy.special import stdtrit


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and half the width of its 95 % interval."""
    half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), half


def ratio(label: str, logs: Sequence[float]) -> tuple[float, float]:
    """Print the ratio behind log ratios of pairs; the ends of its 95 % interval."""
    mean, half = interval(logs)
    low, high = math.exp(mean - half), math.exp(mean + half)
    print(f"{label} {math.exp(mean):.4f} ({low:.4f} to {high:.4f}), {len(logs)} pairs")
    return low, high


def within(label: str, logs: Sequence[float], limit: float) -> int:
    """Print the ratio and whether its interval lies within 1 ± limit; 0 if so, else 1."""
    low, high = ratio(label, logs)
    passed = low >= 1 - limit and high <= 1 + limit
    print(f"within ±{limit:.0%}: {'yes' if passed else 'no'}")
    return 0 if passed else 1


def together(children: Sequence[subprocess.Popen[str]]) -> float:
    """The rates of children that begin together, added: each says `ready`, is told to go, and says its `rate`.

    RuntimeError if one ends without.
    """
    for child in children:
        answer(child, "ready")
    for child in children:
        say(child, "go")
    rates = [float(answer(child, "rate")) for child in children]
    for child in children:
        child.wait()
    return sum(rates)


def say(child: subprocess.Popen[str], line: str) -> None:
    """A line to a child."""
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


def answer(child: subprocess.Popen[str], word: str) -> str:
    """What a child says after a word; a library's own output is passed over."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith(word):
            return line.removeprefix(word).strip()
    raise RuntimeError(f"a child ended without {word}")
