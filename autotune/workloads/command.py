"""Any program: `command:python bench.py --batch {batch_size} --mode {mode}`, run again and again.

Names in braces are settings: `batch_size`, `threads` and `workers`, and whatever the space file invents under
`backend: command:`; `{{` and `}}` are braces of the program's own. Variables are set by the program `env`: `command:env
OMP_SCHEDULE={schedule} ./bench`; PYTHONPATH is inherited only where `workload.env` names it. Words are split as a shell
does and nothing else of a shell works; write `sh -c '…'` for it. Each worker runs the program itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from autotune.core import command_template
from autotune.core.errors import ModelError
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains
from autotune.core.struct import Struct

packages: tuple[str, ...] = ()
form: Form = "command"
plain = "command"
paths = ("folder",)


class Options(Struct):
    """`reads: line` takes a run's rate from the one JSON line with `throughput` (samples/s) that the program prints,
    and `latencies_ms` or `latency_ms` if the line has them; `reads: runs` times whole runs of `samples` samples each
    (by default one batch). `folder` is where it runs, by default the space file's; a run may take `timeout_s`.
    """

    reads: Literal["line", "runs"] = "line"
    samples: Annotated[int, msgspec.Meta(ge=1)] | None = None
    folder: str = "."
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 200.0


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Never: whether the program is there shows when it is started."""
    return None


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """Nothing is prepared, so nothing is kept."""
    return ()


def judged(name: str, options: Options) -> bool:
    """Nobody sees what the program answers."""
    return False


def build(name: str, options: Options, seed: int) -> Any:
    """ModelError: there is no module."""
    raise ModelError(f"command:{name} is a program, not a torch module")


def mismatch(name: str, domains: Domains) -> str | None:
    """Why the command line and the settings of a space do not fit each other, or None."""
    try:
        named = command_template.names(name) - set(command_template.GIVEN)
    except ValueError as error:
        return f"the command line {name!r} cannot be split into words: {error}"
    searched = set(domains.backends.get("command", {}))
    if taken := sorted(searched & set(command_template.GIVEN)):
        return f"search.backend.command may not have {taken[0]!r}, which has its own place under search"
    if unknown := sorted(named - searched):
        has = f"the command line has {{{unknown[0]}}}; give its values under search.backend.command"
        return f"{has}, or double the braces if they are the program's own"
    if unused := sorted(searched - named):
        return f"search.backend.command has {unused[0]!r}; the command line must hold {{{unused[0]}}}"
    return None
