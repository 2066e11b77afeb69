"""A script that starts a program: `sh best.sh python serve.py`, one process a worker."""

from __future__ import annotations

import shlex

from autotune.core.best import Best
from autotune.core.config import Placement
from autotune.report.export.forms import _settings

CACHE = '"$AUTOTUNE_CACHE"'

SUPERVISED = """\
trap 'kill -s TERM $pids 2>/dev/null' HUP INT TERM
status=0
for pid in $pids; do
    wait "$pid"; code=$?
    while kill -0 "$pid" 2>/dev/null; do wait "$pid"; code=$?; done  # a signal ends `wait` before its time
    [ "$status" -ne 0 ] || status=$code
done
exit "$status"
"""


def text(best: Best) -> str:
    """A POSIX script; it needs taskset (util-linux), and does not start if a library to preload is missing."""
    said = ["usage: sh FILE PROGRAM ARGUMENTS..."]
    if len(best.layout) > 1:
        said.append("a worker that fails does not end the others: `python -m autotune run` sees to that")
    lines = ["#!/bin/sh", *_settings.heading(best, "$AUTOTUNE_CACHE"), *_settings.comment(*said)]
    if _settings.cached(best):
        lines.append(': "${AUTOTUNE_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/autotune}"')
    missing = '{ echo "$library is missing" >&2; exit 1; }'
    lines += [f'library={shlex.quote(path)}; [ -f "$library" ] || {missing}' for path in best.preload]
    lines += [f"unset {name}" for name in _settings.unset(best)]
    for name, value in best.environment.items():
        if value is not None:
            lines.append(f"export {name}={CACHE.join(shlex.quote(part) for part in value.split('{cache}'))}")
            lines += [f'mkdir -p -- "${name}"'] if value.startswith("{cache}") else []
    lines.append(f"export AUTOTUNE_WORLD_SIZE={len(best.layout)}")
    preload = f"LD_PRELOAD={shlex.quote(':'.join(best.preload))} " if best.preload else ""
    starts = [f"AUTOTUNE_RANK={rank} {preload}{_start(best, place)}" for rank, place in enumerate(best.layout)]
    if len(starts) == 1:
        lines.append(f"export AUTOTUNE_RANK=0 {preload}".rstrip())
        return "\n".join([*lines, f"exec {_start(best, best.layout[0])}", ""])
    started = [f'{start} & pids="$pids $!"' for start in starts]
    return "\n".join([*lines, "pids=", *started, SUPERVISED])


def _start(best: Best, place: Placement) -> str:
    return f'{shlex.join(["taskset", "-c", _settings.cpus(place), *_settings.prefix(best, place)])} "$@"'
