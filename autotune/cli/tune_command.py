"""The command without a name: `--space`, which tunes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autotune import __version__
from autotune.cli.console import open_console
from autotune.cli.study_commands import STUDIES, Studies

Space = Annotated[str | None, typer.Option(help="A space file, or the name of a shipped one.")]
Trials = Annotated[
    int | None, typer.Option(min=1, help="Stop after N trials; the minutes of the space file still apply.")
]
Minutes = Annotated[
    float | None, typer.Option(min=0.1, max=1_000_000, help="Stop after N minutes, earlier runs of the study included.")
]
NoBudget = Annotated[
    bool,
    typer.Option(
        "--no-budget",
        help="Ignore the space file's budget; with no other budget, stop when nothing better is expected.",
    ),
]
Name = Annotated[str | None, typer.Option(help="The study's name; by default SPACE@INSTANCE-TYPE.")]
Storage = Annotated[str | None, typer.Option(help="An Optuna storage URL instead of the study's own.")]
Seed = Annotated[
    int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of the sampler, the weights and the inputs.")
]
InstanceType = Annotated[str | None, typer.Option(help="This machine's instance type, if it cannot be detected.")]
Prices = Annotated[
    Path | None, typer.Option(help="A file of prices per hour by instance type; replaces the space file's.")
]
From = Annotated[
    list[str] | None,
    typer.Option("--from", metavar="STUDY", help="First try the best configurations of this study; repeatable."),
]
Sampler = Annotated[
    str | None, typer.Option(help="surrogate (the default), tpe, random, or an Optuna sampler class as MODULE:CLASS.")
]
SkipConfirmation = Annotated[bool, typer.Option("--skip-confirmation", help="Only search; claim no speed-up.")]
Version = Annotated[bool, typer.Option("--version", help="Print the version and exit.")]


def tune(
    context: typer.Context,
    space: Space = None,
    trials: Trials = None,
    minutes: Minutes = None,
    no_budget: NoBudget = False,
    name: Name = None,
    studies: Studies = STUDIES,
    storage: Storage = None,
    seed: Seed = None,
    instance_type: InstanceType = None,
    prices: Prices = None,
    begin_with: From = None,
    sampler: Sampler = None,
    skip_confirmation: SkipConfirmation = False,
    version: Version = False,
) -> None:
    """Find the fastest way to serve a PyTorch model on this machine that still gives right answers."""
    if version:
        print(f"autotune {__version__}")
        return
    if context.invoked_subcommand is not None:
        _refuse_options(context, context.invoked_subcommand)
        return
    if space is None:
        print(context.get_help())
        raise typer.Exit(2)
    if storage == "":
        raise typer.BadParameter("is empty; give an Optuna storage URL, or leave it out", param_hint="--storage")
    from autotune.cli import tune as workflow

    measured = workflow.tune(
        open_console(),
        space,
        trials=trials,
        minutes=minutes,
        no_budget=no_budget,
        name=name,
        studies=studies,
        storage=storage,
        seed=seed,
        instance_type=instance_type,
        skip_confirmation=skip_confirmation,
        prices=prices,
        begin_with=begin_with or (),
        sampler=sampler,
    )
    if not measured:
        raise typer.Exit(4)


def _refuse_options(context: typer.Context, command: str) -> None:
    """BadParameter for an option of ours before the name of a command."""
    for option in (name for name, value in context.params.items() if value not in (None, False, STUDIES, [], ())):
        got = "--from" if option == "begin_with" else f"--{option.replace('_', '-')}"
        raise typer.BadParameter(f"goes without a command; got {got} before {command}", param_hint=got)
