"""A plot of replayed searches: the median regret against the simulated time, one panel a space, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
from competitors import TITLES
from regret import NEAR, Run, Runs, title

COLOURS = {
    "random": "#999999",
    "tpe": "#e69f00",
    "gp": "#56b4e9",
    "smac": "#cc79a7",
    "hand": "#0072b2",
    "former": "#009e73",
    "autotune": "#d55e00",
}
"""Okabe and Ito's, which people with any colour vision tell apart."""

COLUMNS = 2
WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 30, 40
LEGEND = 28
REGRETS = (1, 100)
"""The least and the largest regret (%) that is drawn."""

STEPS = 160


def drawn(runs: Runs) -> str:
    """The plot as a file's text."""
    rows = math.ceil(len(runs) / COLUMNS)
    width, height = COLUMNS * WIDTH, LEGEND + rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"',
        'font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_legend([name for name in COLOURS if any(name in found for found in runs.values())]),
    ]
    for place, ((space, recipes), found) in enumerate(runs.items()):
        x, y = place % COLUMNS * WIDTH, LEGEND + place // COLUMNS * HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_panel(title(space, recipes), found), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def median_regrets(runs: Sequence[Run], times: Sequence[float]) -> list[float]:
    """The median regret (%) at each time; all of the rate before a run's first trial ends."""
    tables = []
    for run in runs:
        percent = np.array([100.0, *run.percent])
        tables.append(percent[np.searchsorted(run.seconds, times, side="right")])
    return [float(one) for one in np.median(tables, axis=0)]


def _panel(name: str, found: Mapping[str, Mapping[int, Run]]) -> Iterator[str]:
    runs = {competitor: list(by_seed.values()) for competitor, by_seed in found.items()}
    everything = [run for one in runs.values() for run in one]
    ends = float(np.median([run.seconds[0] for run in everything])), max(run.seconds[-1] for run in everything)
    yield f'<text x="{LEFT}" y="18" font-weight="bold">{escape(name)}</text>'
    yield from _axes(ends)
    times = np.geomspace(*ends, STEPS).tolist()
    for competitor, one in runs.items():
        last = max(run.seconds[-1] for run in one)
        own = [*(t for t in times if t < last), last]
        points = [(_x(t, ends), _y(regret)) for t, regret in zip(own, median_regrets(one, own), strict=True)]
        steps = [f"{x:.1f},{y:.1f}" for (x, _), (_, y) in zip(points[1:], points, strict=False)]
        corners = [text for pair in zip([f"{x:.1f},{y:.1f}" for x, y in points], steps, strict=False) for text in pair]
        yield f'<polyline points="{" ".join(corners)}" fill="none" stroke="{COLOURS[competitor]}" stroke-width="1.8"/>'


def _axes(ends: tuple[float, float]) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for regret in (1, 3, 10, 30, 100):
        y = _y(regret)
        yield f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e0e0e0"/>'
        yield f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{regret} %</text>'
    near = _y(100 * NEAR)
    yield f'<line x1="{LEFT}" x2="{right}" y1="{near:.1f}" y2="{near:.1f}" stroke="#888888" stroke-dasharray="4 3"/>'
    for seconds in _ticks(ends):
        x = _x(seconds, ends)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#e0e0e0"/>'
        anchor = "end" if x > right - 12 else "middle"
        yield f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="{anchor}">{seconds:,g}</text>'
    yield f'<text x="{(LEFT + right) / 2}" y="{bottom + 31}" text-anchor="middle">simulated seconds</text>'


def _ticks(ends: tuple[float, float]) -> list[float]:
    decades = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    found = [factor * 10.0**decade for decade in decades for factor in (1, 3)]
    return [one for one in found if ends[0] <= one <= ends[1]]


def _x(seconds: float, ends: tuple[float, float]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log(seconds / ends[0]) / math.log(ends[1] / ends[0])


def _y(regret: float) -> float:
    least, largest = REGRETS
    share = math.log(min(max(regret, least), largest) / least) / math.log(largest / least)
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = LEFT
    for name in names:
        yield f'<line x1="{x}" x2="{x + 16}" y1="14" y2="14" stroke="{COLOURS[name]}" stroke-width="3"/>'
        yield f'<text x="{x + 20}" y="18" font-size="11">{escape(TITLES[name])}</text>'
        x += 38 + 7 * len(TITLES[name])
