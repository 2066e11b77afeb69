from __future__ import annotations

import codecs
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.core import plugins
from autotune.core.errors import SpaceError
from autotune.core.machine import Environment, Hardware
from autotune.core.space_types import Exclusion, Space, TimeLimits
from autotune.core.workload_spec import InputSpec
from autotune.space import configs, yaml_nodes
from autotune.space import load as loading
from autotune.space.find import shipped
from tests.space.space_file import HEAD, SEARCH, load, machine, refusal

SPACES = Path(__file__).parents[2] / "search_spaces"


def test_everything_that_is_not_named_has_its_default(folder: Path) -> None:
    found = load(HEAD + "search:\n")
    assert found.name == "toy"
    assert found.workload.model == "torchvision:resnet18"
    assert found.workload.inputs == (InputSpec(shape=("batch", 3, 32, 32), dtype="float32"),)
    assert (found.workload.seed, found.workload.options) == (0, {"weights": None})
    assert found.domains.batch_size == (1,)
    assert found.domains.backends == {"torch_eager": {"memory_format": ("contiguous",), "precision": ("float32",)}}
    assert found.domains.knobs == {
        name: (plugins.load("knobs", name).default(machine()),) for name in plugins.names("knobs")
    }
    assert found.baseline == configs.configure(machine(), batch_size=1, backend="torch_eager")
    assert (found.budget.trials, found.budget.minutes, found.excluded) == (None, None, ())


def test_time_limits_are_seconds(folder: Path) -> None:
    assert load(f"{HEAD}search: {{}}").limits == TimeLimits()
    given = "{build_s: 7200, prepare_s: 0.5, setup_s: 1e3, idle_s: 60}"
    found = load(f"{HEAD}search: {{}}\nlimits: {given}").limits
    assert found == TimeLimits(build_s=7200, prepare_s=0.5, setup_s=1000, idle_s=60)
    assert "limits.build_s is 0 in space.yaml, line 6; allowed: a number of seconds above 0" in refusal(
        f"{HEAD}search: {{}}\nlimits: {{build_s: 0}}"
    )
    assert "unknown key 'built_s' in space.yaml, line 6; did you mean" in refusal(
        f"{HEAD}search: {{}}\nlimits: {{built_s: 9}}"
    )


def test_a_space_survives_json(folder: Path) -> None:
    found = load((Path(__file__).parents[2] / "search_spaces/resnet50.yaml").read_text())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Space) == found


def equipped(name: str, *packages: str) -> Hardware:
    """A machine with an environment of that name."""
    there = Environment(prefix=f"/env/{name}", python="3.12", packages=dict.fromkeys(packages, "1"))
    return machine(environments={name: there})


def test_an_environment_in_which_the_model_cannot_be_built_is_left_out_with_the_reason(folder: Path) -> None:
    hw = equipped("jemalloc", "torch")  # as an allocator is called that is not there either
    found = load(SEARCH + "interpreter: auto\n  allocator: auto", hw)
    assert found.domains.knobs["interpreter"] == ("own",)
    reason = "in that environment: torchvision not installed; pip install torchvision"
    assert Exclusion(setting="interpreter", value="jemalloc", reason=reason) in found.excluded
    assert [one.value for one in found.excluded if one.setting == "allocator"].count("jemalloc") == 1
    assert refusal(SEARCH + "interpreter: jemalloc", hw).endswith(f"; jemalloc: {reason}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: toy\nsearch: {}",
            "there is no 'workload' in space.yaml, line 1; a space has name, workload and search",
        ),
        (HEAD, "there is no 'search' in space.yaml, line 1; a space has name, workload and search"),
        (
            HEAD + "search: []",
            "search is a list in space.yaml, line 5; write its keys and values: "
            + ", ".join(("batch_size", "workers", "threads", "backend", *plugins.names("knobs"))),
        ),
        (
            HEAD.replace("toy", "a/b") + "search: {}",
            "name is 'a/b' in space.yaml, line 1; allowed: letters, digits, '.', '_' and '-', a letter or digit first",
        ),
        (
            HEAD.replace("toy", "..") + "search: {}",
            "name is '..' in space.yaml, line 1; allowed: letters, digits, '.', '_' and '-', a letter or digit first",
        ),
        (
            HEAD + "search: {}\nbudget: {minutes: 0}",
            "budget.minutes is 0 in space.yaml, line 6; allowed: a number above 0",
        ),
        (
            HEAD + "search: {}\nbudget: {trials: 0}",
            "budget.trials is 0 in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: !!int 1",
            "the tag 'tag:yaml.org,2002:int' in space.yaml, line 6; write the value without it, text in quotes",
        ),
        (
            SEARCH + "batch_size: 1\n  batch_size: 2",
            "duplicate key 'batch_size' in space.yaml, line 7; it already stands on line 6",
        ),
        (
            SEARCH + "huge_pages: on",
            "search.huge_pages is on in space.yaml, line 6; write true or, as text, 'on' in quotes",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(text: str, message: str, folder: Path) -> None:
    assert refusal(text) == message


def test_a_file_that_is_missing_or_a_folder(folder: Path) -> None:
    with pytest.raises(SpaceError, match=r"^there is no file missing\.yaml$"):
        loading.load(Path("missing.yaml"), machine())
    with pytest.raises(SpaceError, match=r"^cannot read \.: Is a directory$"):
        loading.load(Path(), machine())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped spaces beside files that stand for the weights that they name."""
    copied = tmp_path_factory.mktemp("checkout") / "search_spaces"
    shutil.copytree(SPACES, copied)
    for text in (path.read_text() for path in shipped()):
        for name in re.findall(r"/(pretrained/[\w./-]+)", text):
            weights = copied.parent / (name if name.endswith((".onnx", ".npz")) else f"{name}/config.json")
            weights.parent.mkdir(parents=True, exist_ok=True)
            weights.touch()
    return copied


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
@pytest.mark.parametrize("cores", [1, 2, 64])
def test_every_shipped_space_loads_and_bears_its_files_name(path: Path, cores: int, checkout: Path) -> None:
    found = loading.load(checkout / path.relative_to(SPACES), machine(cores))
    assert found.name == path.stem
    assert found.budget.trials
    assert found.budget.minutes


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Space]:
    """Loads a text from a file that every example writes anew."""
    path = tmp_path_factory.mktemp("written") / "space.yaml"

    def load(text: str) -> Space:
        path.write_text(text)
        return loading.load(path, machine())

    return load


NAMES = [
    *loading.KEYS,
    "batch_size",
    "workers",
    "threads",
    "layout",
    "allocator",
    "huge_pages",
    "backend",
    "torch_eager",
]
TEXTS = ["", "0", "1.5", "auto", "true", "null", "[1, 2]", "[]", "{}", "{low: 2, high: 1}", "x", "'", "on", "1x1"]
indents, names, texts = (st.sampled_from(choice) for choice in (["", "  ", "    "], NAMES, TEXTS))


@settings(max_examples=300)
@given(lines=st.lists(st.builds("{}{}: {}".format, indents, names, texts), max_size=8))
def test_any_settings_are_a_space_or_refused_with_their_line(lines: list[str], written: Callable[[str], Space]) -> None:
    try:
        found = written("\n".join([f"{HEAD}search:", *lines]))
    except SpaceError as error:
        assert re.search(r" in \S+space\.yaml, line \d+", str(error))
        assert str(error).isprintable()
    else:
        assert found.baseline.key
        assert all(found.domains.knobs.values())


# ------------------------------------------------------------------------------------------------------- the text

SAVED_ELSEWHERE = [b"", codecs.BOM_UTF8]


@pytest.mark.parametrize("mark", SAVED_ELSEWHERE, ids=["no mark", "byte-order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_file_may_have_any_line_ends_and_a_byte_order_mark(mark: bytes, end: str, folder: Path) -> None:
    path = folder / "space.yaml"
    text = SEARCH + "batch_size: [1, 2]\n"
    path.write_bytes(mark + text.replace("\n", end).encode())
    assert yaml_nodes.text(path) == text
    assert loading.load(path, machine()) == load(text)
    path.write_bytes(mark + f"{SEARCH}alocator: auto\n".replace("\n", end).encode())
    with pytest.raises(SpaceError, match=r"unknown knob 'alocator' in .*space\.yaml, line 6"):
        loading.load(path, machine())


def test_a_text_that_was_read_before_is_the_one_that_counts(folder: Path) -> None:
    load(SEARCH + "batch_size: 1")
    found = loading.load(Path("space.yaml"), machine(), text=SEARCH + "batch_size: 2")
    assert found.domains.batch_size == (2,)
