from __future__ import annotations

import pytest

from autotune.core import plugins
from autotune.core.errors import ModelError
from autotune.core.space_types import Domains
from autotune.core.struct import Value

command = plugins.load("workloads", "command")


def domains(**options: tuple[Value, ...]) -> Domains:
    return Domains(batch_size=(1,), knobs={}, backends={"command": options})


@pytest.mark.parametrize(
    ("line", "searched", "reason"),
    [
        ("bench {batch_size} {mode}", {"mode": ("a", "b")}, None),
        ("bench", {}, None),
        ("sh -c 'echo ${{HOME}}'", {}, None),
        (
            "bench {mode}",
            {},
            "the command line has {mode}; give its values under search.backend.command, or double the braces if they "
            "are the program's own",
        ),
        ("bench", {"mode": ("a",)}, "search.backend.command has 'mode'; the command line must hold {mode}"),
        (
            "bench {threads}",
            {"threads": (1,)},
            "search.backend.command may not have 'threads', which has its own place under search",
        ),
        ("bench 'x", {}, 'the command line "bench \'x" cannot be split into words: No closing quotation'),
    ],
)
def test_names_and_settings_must_fit_each_other(
    line: str, searched: dict[str, tuple[Value, ...]], reason: str | None
) -> None:
    assert command.mismatch(line, domains(**searched)) == reason  # type: ignore[attr-defined]


def test_there_is_no_module() -> None:
    with pytest.raises(ModelError, match="is a program, not a torch module"):
        command.build("bench", command.Options(), 0)
    assert not command.judged("x", command.Options())
