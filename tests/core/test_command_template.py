from __future__ import annotations

import pytest

from autotune.core import command_template
from autotune.core.config import Config, WorkloadSettings
from autotune.core.struct import Value


def config(**options: Value) -> Config:
    settings = WorkloadSettings(batch_size=8)
    return Config(workload=settings, backend="command", options=options, knobs={"layout": "2x3"})


def test_names_are_those_in_braces() -> None:
    line = "env A={mode} python bench.py --batch {batch_size} '{mode} {other_1}' {} {2} {a-b}"
    assert command_template.names(line) == {"mode", "batch_size", "other_1"}


def test_a_line_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="quotation"):
        command_template.names("echo 'a")


def test_values_take_their_places() -> None:
    line = "run --batch={batch_size} {workers}x{threads} --fast {fast} --ratio {ratio} {keep me}"
    found = command_template.filled(line, config(fast=True, ratio=0.5))
    assert found == ["run", "--batch=8", "2x3", "--fast", "true", "--ratio", "0.5", "{keep", "me}"]


def test_doubled_braces_are_the_programs_own() -> None:
    line = "sh -c 'echo ${{HOME}} {{{mode}}}' awk '{{print}}' {{mode}} }} {"
    assert command_template.names(line) == {"mode"}
    found = command_template.filled(line, config(mode="a"))
    assert found == ["sh", "-c", "echo ${HOME} {a}", "awk", "{print}", "{mode}", "}", "{"]


def test_a_value_is_never_more_than_one_word_and_never_filled_again() -> None:
    assert command_template.filled("echo {text} {other}", config(text="a b; $(id) {other}", other="'")) == [
        "echo",
        "a b; $(id) {other}",
        "'",
    ]
