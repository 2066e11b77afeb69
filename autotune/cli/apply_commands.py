"""Commands that use a best.json: run, verify."""

from __future__ import annotations

import enum
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

BestFile = Annotated[Path, typer.Argument(metavar="BEST.JSON", help="The result of a study.")]


class VerdictForm(enum.StrEnum):
    """The forms of a verdict."""

    TEXT = "text"
    JSON = "json"


@app.command()
def run(
    best: BestFile,
    command: Annotated[list[str], typer.Argument(metavar="-- PROGRAM ARGUMENTS...")],
    force: Annotated[
        bool, typer.Option("--force", help="Start even if cores, libraries or numactl are missing.")
    ] = False,
    torch_distributed_env: Annotated[
        bool, typer.Option("--torch-distributed-env", help="Also set RANK and WORLD_SIZE.")
    ] = False,
    grace: Annotated[float, typer.Option(min=0, help="Seconds until SIGKILL, once another worker has failed.")] = 10.0,
) -> None:
    """Start a program with a tuned configuration.

    Starts one pinned process per worker, with its environment and preloaded libraries.
    """
    from autotune.apply import run as applying
    from autotune.core.errors import NotStarted
    from autotune.hardware import probe
    from autotune.models import artifact_cache

    cache = artifact_cache.default_folder()
    try:
        status = applying.run(
            best,
            command,
            probe.probe(),
            os.environ,
            cache,
            _warn,
            force=force,
            torch_distributed_env=torch_distributed_env,
            grace_s=grace,
        )
    except NotStarted as error:
        _warn(str(error))
        raise typer.Exit(error.status) from None
    raise typer.Exit(status)


@app.command()
def verify(
    best: BestFile,
    minutes: Annotated[float, typer.Option(min=0.1, max=1_000_000, help="The most time to measure.")] = 2.0,
    form: Annotated[VerdictForm, typer.Option("--format", help="The output format.")] = VerdictForm.TEXT,
) -> None:
    """Check that a claimed speed-up holds here.

    Measures the configuration and its baseline again, by turns. Exits with status 4 if the claim does not hold.
    """
    import msgspec

    from autotune.apply import verification
    from autotune.apply import verify as verifying

    found = verifying.verify(best, minutes=minutes, say=lambda line: print(line, file=sys.stderr, flush=True))
    if form is VerdictForm.JSON:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        print("\n".join(verification.text(found)))
    if not found.holds:
        raise typer.Exit(4)


def _warn(line: str) -> None:
    print(f"autotune: {line}", file=sys.stderr, flush=True)
