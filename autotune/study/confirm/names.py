"""The names of the candidates of a confirmation; each is also the name of the candidate's folder on disk."""

from __future__ import annotations

BASELINE = "baseline"
WINNER = "winner"
UNREDUCED = "unreduced"
"""The winner with the settings that are worth nothing."""


def of_trial(number: int) -> str:
    """The candidate with the configuration of a trial."""
    return f"trial-{number}"


def repeat(name: str) -> str:
    """The candidate with the same configuration as another one, which shows how far it differs from itself."""
    return f"{name}-again"


def without(setting: str) -> str:
    """The winner with a setting put back."""
    return f"without-{setting}"


def up_to(setting: str) -> str:
    """The configuration on the way to the winner that has a setting as its last change."""
    return f"with-{setting}"
