from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import AutotuneError, SpaceError, StudyError
from autotune.report.text import formatting as words
from autotune.report.text import planned_config, recorded_machines
from autotune.space import configs
from autotune.study.search import recipes
from tests.report.text.planned import COMMAND, configured, printed, resolved, written


def test_the_baseline_unless_another_is_picked(tmp_path: Path) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    space = resolved(tmp_path, hw)
    first = recipes.first(space, hw)
    assert planned_config.chosen(space, hw) == space.baseline
    for number, config in enumerate(first, 1):
        if configs.unavailable(config, hw) is None:
            assert planned_config.chosen(space, hw, number) == config
    for number in (0, len(first) + 1):
        with pytest.raises(SpaceError, match=rf"--pick is {number}; allowed: 1 to {len(first)}, the configurations"):
            planned_config.chosen(space, hw, number)
    text = printed(space, hw, space.baseline)
    for number, config in enumerate(first, 1):
        baseline = " (the baseline)\n" if number == 1 else ""
        assert f"\n{number:3}  {words.configuration(config)}{baseline}" in text


def test_what_is_advised_but_does_nothing_here_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    space = resolved(tmp_path, hw)
    vain = configured(hw, "onnxruntime", huge_pages=True, allocator="tcmalloc")
    monkeypatch.setattr(recipes, "first", lambda *_: (space.baseline, vain))
    reason = "huge_pages: with tcmalloc only torch asks for huge pages, and onnxruntime runs without it"
    assert f"\n  2  {words.configuration(vain)} is passed over; {reason}\n" in printed(space, hw, space.baseline)
    with pytest.raises(SpaceError) as caught:
        planned_config.chosen(space, hw, 2)
    assert str(caught.value) == f"configuration 2 cannot be used on c8g.xlarge; {reason}"


def test_a_configuration_from_a_file(tmp_path: Path) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    space = resolved(tmp_path, hw)
    config = configured(hw, "onnxruntime", 8, layout="4x1", allocator="mimalloc")
    path = written(tmp_path / "spec.json", config, space)
    assert planned_config.chosen(space, hw, file=path) == config
    knobs = {"layout": "4x1", "allocator": "mimalloc"}
    older = {
        "format": 1,
        "config": {"workload": {"batch_size": 8}, "backend": "onnxruntime", "options": {}, "knobs": knobs},
    }
    path.write_text(json.dumps(older))
    assert planned_config.chosen(space, hw, file=path) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"knobs": {"layout": "5x1"}}, "cannot be used on c8g.xlarge; layout: 5x1 needs 5 cores, and 4 are usable"),
        ({"knobs": {"allocator": "tbbmalloc"}}, "cannot be used on c8g.xlarge; allocator: tbbmalloc was not found"),
        (
            {"knobs": {"allocator": "malloc2"}},
            "allocator is malloc2; allowed: jemalloc, mimalloc, system, tbbmalloc, tcmalloc",
        ),
        ({"knobs": {"huge_pages": 1}}, "huge_pages is 1; allowed: true, false"),
        ({"knobs": {"interpreter": "old"}}, "cannot be used on c8g.xlarge; interpreter: no environment old"),
        ({"knobs": {"alocator": "system"}}, "unknown knob 'alocator'; did you mean 'allocator'?"),
        ({"options": {"precision": "int1"}}, "options of torch_eager that are not legal: Invalid enum value 'int1'"),
        ({"backend": "onnxruntim"}, "unknown backend 'onnxruntim'; did you mean 'onnxruntime'?"),
        (
            {"backend": "command"},
            "cannot be used on c8g.xlarge; command runs a command; the workload is a torch module",
        ),
        (
            {"workload": {}},
            "is damaged: Object missing required field `batch_size` - at `$.config.workload`; give a best",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used(tmp_path: Path, change: dict[str, object], message: str) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    space = resolved(tmp_path, hw)
    config = {"workload": {"batch_size": 1}, "backend": "torch_eager", "options": {}, "knobs": {}} | change
    path = tmp_path / "best.json"
    path.write_text(json.dumps({"format": 1, "config": config}))
    with pytest.raises(AutotuneError) as caught:
        planned_config.chosen(space, hw, file=path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_another_space_invented(tmp_path: Path) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    space = resolved(tmp_path, hw, COMMAND)
    config = msgspec.structs.replace(space.baseline, options={"kind": "a b"})
    with pytest.raises(SpaceError, match=r"c8g\.xlarge; command has the options mode here, not kind"):
        planned_config.chosen(space, hw, file=written(tmp_path / "spec.json", config, space))


def test_a_missing_or_newer_file(tmp_path: Path) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    space = resolved(tmp_path, hw)
    with pytest.raises(StudyError, match=r"gone\.json cannot be read: No such file"):
        planned_config.chosen(space, hw, file=tmp_path / "gone.json")
    (tmp_path / "best.json").write_text('{"format": 2, "config": "in another form"}')
    with pytest.raises(StudyError, match=r"best\.json has format 2; this version of autotune reads up to 1"):
        planned_config.chosen(space, hw, file=tmp_path / "best.json")
