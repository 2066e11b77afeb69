from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core import plugins
from autotune.space import configs
from tests.space.space_file import BASELINE, SEARCH, load, machine, refusal


def test_the_baseline_changes_the_plain_model(folder: Path) -> None:
    text = f"{SEARCH}batch_size: [4, 8]\nbaseline:\n  "
    plain = load(text).baseline
    assert plain == configs.configure(machine(), batch_size=4, backend="torch_eager")
    changed = load(f"{text}batch_size: 2\n  layout: 1x1\n  backend: {{torch_eager: {{memory_format: channels_last}}}}")
    assert changed.baseline == configs.configure(
        machine(),
        batch_size=2,
        backend="torch_eager",
        options={"memory_format": "channels_last"},
        knobs={"layout": "1x1"},
    )
    assert load(f"{text}backend: {{onnxruntime: }}").baseline.backend == "onnxruntime"


def test_a_plain_model_that_cannot_run_needs_a_baseline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.load("backends", "torch_eager"), "unavailable", lambda options, hw: "no torch here")
    text = SEARCH + "backend: {onnxruntime: {}}\nbaseline: "
    assert refusal(text) == (
        "the baseline cannot be used here in space.yaml, line 7; torch_eager: no torch here"
        "; write another under 'baseline'"
    )
    assert load(f"{text}{{backend: {{onnxruntime: {{}}}}}}").baseline.backend == "onnxruntime"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            BASELINE + "batch_size: [1, 2]",
            "baseline.batch_size is a list in space.yaml, line 7; write one value: a whole number from 1",
        ),
        (
            BASELINE + "backend: {torch_eager: {}, openvino: {}}",
            "baseline.backend names 2 backends in space.yaml, line 7; write one",
        ),
        (
            BASELINE + "layout: 4x1",
            "the baseline cannot be used here in space.yaml, line 6"
            "; layout: 4x1 needs 4 cores, and 2 are usable; write another under 'baseline'",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(text: str, message: str, folder: Path) -> None:
    assert refusal(text) == message
