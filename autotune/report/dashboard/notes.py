"""The dashboard's notes on a study and its trials: Markdown in which names and messages stay plain text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

from autotune.analysis.metrics import METRICS
from autotune.core.results import Status, TrialResult
from autotune.launch import environment
from autotune.report.text import doctor, formatting, headline, summary
from autotune.report.text.markdown import fenced, literal, table
from autotune.report.text.shell_command import quoted
from autotune.report.text.study_reader import Study

NOT_RUN = "Not run: tried before, of little promise, known to answer wrong, or not for this machine. It has no folder."
RUNNING = "Running."
READ_ONLY = "What is shown here is read from the study's folder. This page changes and deletes nothing there."
WIDTH, LABEL, FIGURE = 110, " " * 10, " " * 29
"""The summary's width, and the indents at which a line of its head and one of its tables go on."""

PIECE = re.compile(r".{1,90}(?:$|(?<=[:,/ ]))|.{1,90}")
"""A line that fits the page of a trial, up to a place where a path or a list may be broken."""


def trial(study: Study, result: TrialResult, links: Mapping[str, str]) -> str:
    """A trial that has ended: how, its metrics, how it was started, its files (`links` are by name)."""
    config = result.spec.config
    baseline = " (the baseline)" if config == study.space.baseline else ""
    parts = [f"**{literal(formatting.configuration(config))}**{baseline}", literal(_ended(study, result))]
    if result.blocks:
        parts.append(_metrics(study, result))
        parts += [literal(one.description) for one in study.ranking.checks(result)]
        broken = study.broken_again(result)
        parts += [] if broken is None else [f"**{literal(broken)}**"]
    parts += [literal(flag) for flag in result.flags]
    files = [f"[{literal(name)}]({link})" for name, link in links.items()]
    files.append(f"its folder is {literal(str(study.folder / result.spec.folder))}")
    return "\n\n".join([*parts, _started(study, result), ", ".join(files)])


def overview(study: Study, problems: Sequence[str]) -> str:
    """The study: what the end of a run prints, and what could not be read."""
    told = summary.summary(study)
    lines = [part for line in told for part in _wrapped(line) or [""]]
    return "\n\n".join([literal(READ_ONLY), *(f"**{literal(one)}**" for one in problems), fenced("\n".join(lines))])


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=FIGURE if line.startswith("  ") else LABEL)


def _ended(study: Study, result: TrialResult) -> str:
    if not result.status.measured or not result.blocks:
        said = f"{result.status.replace('_', ' ')}: {result.error or 'no reason is known'}"
        return f"{said} (measured again as a trial of its own)" if result.status is Status.INTERRUPTED else said
    given_up = "given up as clearly slower than the best so far: " if result.status is Status.REJECTED else ""
    base, found = study.baseline, study.evidence
    rate = formatting.rate(study.ranking.interval(result))
    if found is not None and found.trial == result.spec.id:
        over = "" if found.ratio is None else f", {formatting.ratio(found.ratio)} {_over(study)} the baseline"
        return f"the winner: {formatting.rate(found.rate)}{over}, {headline.basis(found)} (its own window: {rate})"
    over = "" if base is None else f", {formatting.ratio(study.ranking.ratio(result, base))} the baseline"
    return f"{given_up}{rate}{over}; from one window, 90 % intervals over {len(result.blocks)} blocks"


def _over(study: Study) -> str:
    return formatting.gain(study.space.goal.objectives[0])[1]


def _metrics(study: Study, result: TrialResult) -> str:
    """A table; percentiles only where enough calls back them."""
    found = study.ranking.known(result)
    rows = [
        (name, formatting.metric(name, found[name], study.space.price), metric.description)
        for name, metric in METRICS.items()
        if name in found
    ]
    return table(("metric", "value", ""), rows)


def _started(study: Study, result: TrialResult) -> str:
    """The CPUs of its processes and what is set in their environment."""
    config, hw = result.spec.config, study.hardware
    asked = environment.patch(config, hw)
    cpus = " / ".join(doctor.ranges(placement.cpus) for placement in environment.placements(config, hw))
    lines = [quoted(f"{name}={value}") for name, value in environment.apply(asked, {}, "{cache}").items()]
    lines += [" ".join(map(quoted, asked.argv_prefix))] if asked.argv_prefix else []
    head = f"Started as {config.layout.workers} x {config.layout.threads} (processes x threads) on CPUs {cpus}"
    shown = ("\n    ".join(PIECE.findall(line)) for line in lines)
    return f"{literal(head)}:\n\n{fenced(chr(10).join(shown))}" if lines else literal(head)
