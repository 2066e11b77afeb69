"""The command line of a `command` workload: words in which names in braces stand for settings.

`{{` and `}}` are braces themselves: `sh -c 'echo ${{HOME}}'`, `awk '{{print}}'`. Other braces stay as they are.
"""

from __future__ import annotations

import re
import shlex

from autotune.core.config import Config

GIVEN = ("batch_size", "threads", "workers")
"""Names that always have a value; all others are options of the backend `command`."""

_BRACES = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")


def names(line: str) -> set[str]:
    """The names in braces; ValueError if the line cannot be split into words."""
    return {name for word in shlex.split(line) for name in _BRACES.findall(word) if name}


def filled(line: str, config: Config) -> list[str]:
    """The words for a configuration; a value never becomes more than one word."""
    values = {
        "batch_size": config.workload.batch_size,
        "threads": config.layout.threads,
        "workers": config.layout.workers,
        **config.options,
    }

    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        chosen = values[found[1]]
        return str(chosen).lower() if isinstance(chosen, bool) else str(chosen)

    return [_BRACES.sub(value, word) for word in shlex.split(line)]
