import itertools
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.errors import AutotuneError, SpaceError
from autotune.core.machine import Cpu, Environment, Hardware
from autotune.core.space_types import Exclusion, Space
from autotune.core.struct import Struct, digest
from autotune.core.workload_spec import InputSpec
from autotune.space import configs
from autotune.space import load as space

HEAD = """\
name: toy
workload:
  model: torchvision:resnet18
  inputs: [{shape: [batch, 3, 32, 32]}]
"""
SEARCH = HEAD + "search:\n  "  # the next thing written stands on line 6
OPTIONS = SEARCH + "backend:\n    "  # and here on line 7
BASELINE = HEAD + "search: {}\nbaseline:\n  "  # on line 7


def machine(cores: int = 2, **changes: Any) -> Hardware:
    plain: dict[str, Any] = {
        "architecture": "x86_64",
        "cpu_model": "toy",
        "isa": ("avx512f",),
        "cpus": tuple(Cpu(id=i, core=i, socket=0, node=0) for i in range(cores)),
        "allowed_cpus": tuple(range(cores)),
        "memory_bytes": 2**34,
        "huge_page_mode": "madvise",
        "libraries": {"tcmalloc": "/usr/lib/libtcmalloc.so"},
        "packages": dict.fromkeys(
            ("torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "openvino", "nncf", "timm", "transformers"),
            "1",
        ),
        "compiler": "/usr/bin/g++",
    }
    return Hardware(**plain | changes)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, hw: Hardware | None = None) -> Space:
    """The space of a file named space.yaml in the current folder."""
    Path("space.yaml").write_text(text)
    return space.load(Path("space.yaml"), hw or machine())


def refusal(text: str, hw: Hardware | None = None) -> str:
    with pytest.raises(SpaceError) as caught:
        load(text, hw)
    return str(caught.value)


# -------------------------------------------------------------------------------------------- what a file gives


def test_everything_that_is_not_named_has_its_default(folder: Path) -> None:
    found = load(HEAD + "search:\n")
    assert found.name == "toy"
    assert found.workload.model == "torchvision:resnet18"
    assert found.workload.inputs == (InputSpec(shape=("batch", 3, 32, 32), dtype="float32"),)
    assert (found.workload.seed, found.workload.options) == (0, {"weights": None})
    assert found.domains.batch_size == (1,)
    assert found.domains.backends == {"torch_eager": {"memory_format": ("contiguous",), "precision": ("float32",)}}
    assert found.domains.knobs == {name: (plugins.load("knobs", name).default(machine()),) for name in knobs()}
    assert found.baseline == configs.configure(machine(), batch_size=1, backend="torch_eager")
    assert (found.budget.trials, found.budget.minutes, found.excluded) == (None, None, ())


def test_a_space_survives_json(folder: Path) -> None:
    found = load((Path(__file__).parents[2] / "search_spaces/resnet50.yaml").read_text())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Space) == found


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("4", (4,)),
        ("1e1", (10,)),
        ("[4, 1, 2]", (4, 1, 2)),
        ("{low: 1, high: 4}", (1, 2, 3, 4)),
        ("{low: 1, high: 8, step: 3}", (1, 4, 7, 8)),
        ("{low: 4, high: 4}", (4,)),
        ("{low: 1, high: 12, log: true}", (1, 2, 4, 8, 12)),
        ("{low: 3, high: 24, log: true}", (3, 6, 12, 24)),
        ("{low: 1, high: 1024, log: false}", tuple(range(1, 1025))),
    ],
)
def test_a_value_a_list_or_a_range(written: str, values: tuple[int, ...], folder: Path) -> None:
    found = load(f"{SEARCH}batch_size: {written}").domains.batch_size
    assert found == values
    assert all(type(value) is int for value in found)


def test_auto_asks_knobs_and_options(folder: Path) -> None:
    found = load(f"{SEARCH}allocator: auto\n  huge_pages: auto\n  backend: {{torch_compile: {{freezing: auto}}}}")
    assert found.domains.knobs["allocator"] == ("system", "tcmalloc")
    assert found.domains.knobs["huge_pages"] == (False, True)
    assert found.domains.backends["torch_compile"]["freezing"] == (False, True)


def test_workers_and_threads_become_layouts(folder: Path) -> None:
    def layouts(text: str) -> tuple[object, ...]:
        return load(SEARCH + text, machine(cores=4)).domains.knobs["layout"]

    assert layouts("workers: [1, 2]\n  threads: [1, 2]") == ("1x1", "1x2", "2x1", "2x2")
    assert layouts("workers: 4") == ("4x1",)
    assert layouts("threads: auto\n  workers: auto") == ("1x1", "1x2", "1x3", "1x4", "2x1", "2x2", "3x1", "4x1")
    assert layouts("layout: [2x2, 1x4]") == ("2x2", "1x4")
    assert layouts("layout: auto") == layouts("workers: auto")


def test_a_count_that_fits_with_nothing_is_left_out_with_the_reason(folder: Path) -> None:
    found = load(f"{SEARCH}workers: [1, 8]\n  threads: [1, 2]")
    assert found.domains.knobs["layout"] == ("1x1", "1x2")
    reason = "8x1 needs 8 cores, and 2 are usable"
    assert found.excluded == (Exclusion(setting="layout", value="8x1", reason=reason),)


def test_what_this_machine_cannot_honour_is_left_out_with_the_reason(folder: Path) -> None:
    text = (
        f"{SEARCH}allocator: [system, jemalloc]\n  huge_pages: [false, true]\n  layout: [1x2, 4x4]\n  backend:\n"
        "    torch_eager: {precision: [float32, bfloat16]}\n    openvino:\n    torch_compile: {precision: bfloat16}"
    )
    hw = machine(huge_page_mode="never", packages={"torch": "1", "torchvision": "1"})
    found = load(text, hw)
    assert found.domains.knobs.items() >= {"allocator": ("system",), "huge_pages": (False,), "layout": ("1x2",)}.items()
    assert found.domains.backends == {"torch_eager": {"memory_format": ("contiguous",), "precision": ("float32",)}}
    excluded = {(exclusion.setting, exclusion.value): exclusion.reason for exclusion in found.excluded}
    assert set(excluded) == {
        ("allocator", "jemalloc"),
        ("huge_pages", True),
        ("layout", "4x4"),
        ("torch_eager.precision", "bfloat16"),
        ("backend", "openvino"),
        ("backend", "torch_compile"),
    }
    assert all(excluded.values())
    assert excluded["backend", "openvino"].startswith("openvino, onnx, onnxscript not installed")


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


def test_workload_options_and_inputs(folder: Path) -> None:
    (folder / "spaces").mkdir()
    weights = folder / "model.pth"
    weights.write_bytes(b"")
    file = folder / "spaces" / "space.yaml"
    file.write_text(
        "name: toy\nsearch: {}\nworkload:\n  model: torchvision:resnet18\n  seed: 7\n  weights: ../model.pth\n"
        "  inputs:\n    - {shape: [batch, 3], dtype: int64, low: 5, high: 9}\n    - {shape: [batch]}"
    )
    workload = space.load(file, machine()).workload
    assert (workload.seed, workload.options) == (7, {"weights": str(weights)})
    assert workload.inputs == (
        InputSpec(shape=("batch", 3), dtype="int64", low=5, high=9),
        InputSpec(shape=("batch",)),
    )
    file.write_text(file.read_text().replace("../model.pth", str(weights)))
    assert space.load(file, machine()).workload == workload


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


# ------------------------------------------------------------------------------------------ what a file may not


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # a name that is not known
        (HEAD + "serch: {}", "unknown key 'serch' in space.yaml, line 5; did you mean 'search'?"),
        (SEARCH + "alocator: auto", "unknown knob 'alocator' in space.yaml, line 6; did you mean 'allocator'?"),
        (
            OPTIONS + "onnxruntim: {}",
            "unknown backend 'onnxruntim' in space.yaml, line 7; did you mean 'onnxruntime'?",
        ),
        (
            OPTIONS + "torch_eager:\n      precison: float32",
            "unknown torch_eager option 'precison' in space.yaml, line 8; did you mean 'precision'?",
        ),
        (
            OPTIONS + "torch_eager: {precision: bfloat}",
            "search.backend.torch_eager.precision is 'bfloat' in space.yaml, line 7; allowed: bfloat16, float32"
            "; did you mean 'bfloat16' or 'float32'?",
        ),
        (
            SEARCH + "huge_pages: [false, 1]",
            "search.huge_pages[1] is 1 in space.yaml, line 6; allowed: true, false",
        ),
        (SEARCH + "batch_size: {low: 1, hihg: 2}", "unknown key 'hihg' in space.yaml, line 6; did you mean 'high'?"),
        (
            HEAD + "search: {}\nbudget: {trails: 3}",
            "unknown key 'trails' in space.yaml, line 6; did you mean 'trials'?",
        ),
        (BASELINE + "allocater: system", "unknown knob 'allocater' in space.yaml, line 7; did you mean 'allocator'?"),
        (
            HEAD + "  wieghts: x\nsearch: {}",
            "unknown key 'wieghts' in space.yaml, line 5; did you mean 'weights'?",
        ),
        (
            HEAD.replace("torchvision:", "torchvison:") + "search: {}",
            "unknown provider 'torchvison' of workload.model in space.yaml, line 3; did you mean 'torchvision'?",
        ),
        # values
        (SEARCH + "batch_size: 0", "search.batch_size is 0 in space.yaml, line 6; allowed: a whole number from 1"),
        (
            SEARCH + "batch_size: [1, -2]",
            "search.batch_size[1] is -2 in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (SEARCH + "batch_size: 1.5", "search.batch_size is 1.5 in space.yaml, line 6; allowed: a whole number from 1"),
        (
            SEARCH + "batch_size: true",
            "search.batch_size is true in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (SEARCH + "batch_size:", "search.batch_size is null in space.yaml, line 6; allowed: a whole number from 1"),
        (
            SEARCH + "batch_size: auto",
            "search.batch_size has no 'auto' in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: []",
            "search.batch_size is an empty list in space.yaml, line 6; write at least one value: a whole number from 1",
        ),
        (
            SEARCH + "batch_size:\n    - 1\n    - [2]",
            "search.batch_size[1] is a list in space.yaml, line 8; write one value: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: [1, 2, 1e0]",
            "search.batch_size has 1 twice in space.yaml, line 6; write each value once",
        ),
        (
            SEARCH + "layout: [1x1, two]",
            "search.layout[1] is 'two' in space.yaml, line 6; allowed: WORKERSxTHREADS, such as 2x1",
        ),
        (
            SEARCH + "layout: 1x1\n  threads: 2",
            "search.layout beside workers or threads in space.yaml, line 6; write one or the other",
        ),
        # ranges
        (
            SEARCH + "batch_size: {low: 8, high: 2}",
            "search.batch_size has low 8 above high 2 in space.yaml, line 6; write the smaller one as low",
        ),
        (
            SEARCH + "batch_size: {low: 8}",
            "search.batch_size has no 'high' in space.yaml, line 6"
            "; write {low: 1, high: 8}, or with step: 2 or log: true",
        ),
        (
            SEARCH + "batch_size: {low: 0, high: 2}",
            "search.batch_size is 0 in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: {low: 0, high: 2, log: true}",
            "search.batch_size has low 0 and 'log' in space.yaml, line 6; write a low above 0",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 2, log: true, step: 1}",
            "search.batch_size has both 'log' and 'step' in space.yaml, line 6; write one of them",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 2, step: 0}",
            "search.batch_size has step 0 in space.yaml, line 6; write a step above 0",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 2, step: 0.5}",
            "search.batch_size is 1.5 in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 1.5}",
            "search.batch_size is a range of fractions without a step in space.yaml, line 6"
            "; write step: 0.1 or log: true",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 1025}",
            "search.batch_size has more than 1024 values in space.yaml, line 6"
            "; write a larger step, log: true or a list",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: many}",
            "search.batch_size.high is 'many' in space.yaml, line 6; allowed: a number",
        ),
        # an empty space
        (
            SEARCH + "backend: {}",
            f"search.backend is empty in space.yaml, line 6; allowed: {', '.join(plugins.names('backends'))}",
        ),
        (
            SEARCH + "threads: [4, 8]",
            "no pair of search.workers and search.threads fits in space.yaml, line 6"
            "; 1x4 needs 4 cores, and 2 are usable",
        ),
        (
            SEARCH + "layout: 9x9",
            "no value of search.layout can be used here in space.yaml, line 6"
            "; 9x9: 9x9 needs 81 cores, and 2 are usable",
        ),
        # sections and keys
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
        # the baseline
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
        # YAML
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


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ("{}", "workload has no 'model' in space.yaml, line 2; write one such as model: torchvision:resnet50"),
        ("resnet50", "workload has no 'model' in space.yaml, line 2; write one such as model: torchvision:resnet50"),
        (
            "{model: 'torchvision:'}",
            "workload.model is 'torchvision:' in space.yaml, line 2; write torchvision: and the model's name",
        ),
        (
            "{model: torchvision:resnet18}",
            "workload has no list of 'inputs' in space.yaml, line 2"
            "; write such as inputs: [{shape: [batch, 3, 224, 224], dtype: float32}]",
        ),
        (
            "\n  model: torchvision:resnet18\n  inputs: []",
            "workload has no list of 'inputs' in space.yaml, line 4"
            "; write such as inputs: [{shape: [batch, 3, 224, 224], dtype: float32}]",
        ),
        (
            "{model: torchvision:resnet18, seed: -1, inputs: [{shape: [batch]}]}",
            "workload.seed is -1 in space.yaml, line 2; allowed: a whole number from 0",
        ),
        (
            "\n  model: torchvision:resnet18\n  weights: none.pth\n  inputs: [{shape: [batch]}]",
            "workload.weights names the missing file 'none.pth' in space.yaml, line 4; looked for in {folder}",
        ),
        *(
            (
                f"{{model: torchvision:resnet18, inputs: [{{{text}}}]}}",
                f"{key} in space.yaml, line 2; {hint}",
            )
            for text, key, hint in (
                ("dtype: int32", "workload.inputs[0].shape is missing", "write such as [batch, 3, 224, 224]"),
                ("shape: 3", "workload.inputs[0].shape is 3", "write such as [batch, 3, 224, 224]"),
                (
                    "shape: [3, batch]",
                    "workload.inputs[0].shape is a shape that does not begin with batch",
                    "write such as [batch, 3, 224, 224]",
                ),
                (
                    "shape: [batch, batch]",
                    "workload.inputs[0].shape[1] is 'batch'",
                    "allowed: a whole number from 1",
                ),
                ("shape: [batch, 0]", "workload.inputs[0].shape[1] is 0", "allowed: a whole number from 1"),
                (
                    "shape: [batch], dtype: float16",
                    "workload.inputs[0].dtype is 'float16'",
                    "allowed: bool, float32, float64, int32, int64; did you mean 'float64' or 'float32'?",
                ),
                (
                    "shape: [batch], high: 5",
                    "workload.inputs[0].high beside dtype float32",
                    "low and high bound int32 and int64",
                ),
                (
                    "shape: [batch], dtype: int64, low: 5",
                    "workload.inputs[0] has low 5 and high 2",
                    "low must be below high",
                ),
            )
        ),
    ],
)
def test_a_workload_that_cannot_be_built_is_named_in_one_line(workload: str, message: str, folder: Path) -> None:
    assert refusal(f"name: toy\nworkload: {workload}\nsearch: {{}}") == message.replace("{folder}", str(folder))


def test_a_file_that_is_missing_or_a_folder(folder: Path) -> None:
    with pytest.raises(SpaceError, match=r"^there is no file missing\.yaml$"):
        space.load(Path("missing.yaml"), machine())
    with pytest.raises(SpaceError, match=r"^cannot read \.: Is a directory$"):
        space.load(Path(), machine())


def test_nothing_left_to_run_is_an_error_with_every_reason(folder: Path) -> None:
    hw = machine(packages={"torch": "1", "torchvision": "1"}, compiler=None)
    message = refusal(OPTIONS + "torch_compile:\n    openvino: {precision: int8}", hw)
    assert message.startswith(
        "no backend of search.backend can be used here in space.yaml, line 6; torch_compile: torch."
    )
    assert "; openvino: openvino, onnx, onnxscript, nncf not installed" in message


def test_a_plain_model_that_cannot_run_needs_a_baseline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.load("backends", "torch_eager"), "unavailable", lambda options, hw: "no torch here")
    text = SEARCH + "backend: {onnxruntime: {}}\nbaseline: "
    assert refusal(text) == (
        "the baseline cannot be used here in space.yaml, line 7; torch_eager: no torch here"
        "; write another under 'baseline'"
    )
    assert load(f"{text}{{backend: {{onnxruntime: {{}}}}}}").baseline.backend == "onnxruntime"


def test_a_provider_that_is_not_installed(folder: Path) -> None:
    message = refusal(HEAD + "search: {}", machine(packages={"torch": "1"}))
    assert message.startswith(
        "workload.model 'torchvision:resnet18' cannot be used here in space.yaml, line 3; torchvision"
    )


# --------------------------------------------------------------------------------------- plugins made for a test


class Hinted(Struct):
    """As a runtime whose hint and streams exclude each other."""

    hint: Literal["none", "latency", "auto"] = "none"
    streams: int = 1
    ratio: float = 0.5


@pytest.fixture
def hinted(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A backend of that name."""
    module: Any = types.ModuleType("hinted")
    module.packages = ()
    module.runs = ("module",)
    module.Options = Hinted
    module.unavailable = lambda options, hw: (
        "too many"
        if options.streams > 4
        else "a hint excludes streams"
        if options.hint == "latency" and options.streams > 1
        else None
    )
    names, found = plugins.names, plugins.load
    monkeypatch.setattr(plugins, "names", lambda kind: (*names(kind), *(["hinted"] if kind == "backends" else [])))
    monkeypatch.setattr(plugins, "load", lambda kind, name: module if name == "hinted" else found(kind, name))
    return module


def axes(text: str) -> dict[str, tuple[object, ...]]:
    return load(f"{SEARCH}backend: {{hinted: {{{text}}}}}").domains.backends["hinted"]


def test_what_fails_only_together_stays_and_is_found_by_unavailable(folder: Path, hinted: types.ModuleType) -> None:
    found = load(f"{SEARCH}backend: {{hinted: {{hint: [latency, none], streams: [1, 4, 8]}}}}")
    assert found.domains.backends["hinted"] == {"hint": ("latency", "none"), "streams": (1, 4), "ratio": (0.5,)}
    assert found.excluded == (Exclusion(setting="hinted.streams", value=8, reason="too many"),)

    def config(hint: str) -> Config:
        return configs.configure(machine(), batch_size=1, backend="hinted", options={"hint": hint, "streams": 2})

    assert configs.unavailable(config("latency"), machine()) == "hinted: a hint excludes streams"
    assert configs.unavailable(config("none"), machine()) is None


def test_huge_pages_that_nobody_asks_for_are_not_measured() -> None:
    hw = msgspec.structs.replace(machine(), huge_page_mode="madvise", libraries={"tcmalloc": "/lib/libtcmalloc.so.4"})

    def reason(backend: str, allocator: str) -> str | None:
        knobs = {"allocator": allocator, "huge_pages": True}
        return configs.unavailable(configs.configure(hw, batch_size=1, backend=backend, knobs=knobs), hw)

    assert "only torch asks for huge pages" in (reason("onnxruntime", "tcmalloc") or "")
    assert reason("onnxruntime", "system") is None
    assert reason("torch_eager", "tcmalloc") is None


def test_only_combinations_that_never_run_exclude_the_backend(folder: Path, hinted: types.ModuleType) -> None:
    text = f"{OPTIONS}torch_eager:\n    hinted: {{hint: latency, streams: [2, 4]}}"
    assert load(text).excluded == (Exclusion(setting="backend", value="hinted", reason="a hint excludes streams"),)


def test_auto_of_an_option_is_its_literal_unless_the_backend_says_more(folder: Path, hinted: Any) -> None:
    assert axes("hint: auto")["hint"] == ("none", "latency", "auto")
    assert axes("hint: [auto]")["hint"] == ("auto",)
    assert refusal(f"{SEARCH}backend: {{hinted: {{streams: auto}}}}") == (
        "search.backend.hinted.streams has no 'auto' in space.yaml, line 6; allowed: a whole number"
    )
    hinted.domains = lambda hw: {"streams": (1, len(hw.cores)), "hint": ("none",)}
    assert axes("streams: auto, hint: auto") == {"hint": ("none",), "streams": (1, 2), "ratio": (0.5,)}


def test_fractions_are_those_that_were_written(folder: Path, hinted: types.ModuleType) -> None:
    assert axes("ratio: {low: 0.1, high: 0.5, step: 0.1}")["ratio"] == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert axes("ratio: {low: 0.25, high: 3, log: true}")["ratio"] == (0.25, 0.5, 1.0, 2.0, 3.0)
    assert [type(value) for value in axes("ratio: [1, 0.5]")["ratio"]] == [float, float]


# ------------------------------------------------------------------------------------------------ configurations


def knobs() -> tuple[str, ...]:
    return plugins.names("knobs")


def test_configure_fills_in_every_default() -> None:
    hw = machine()
    config = configs.configure(hw, batch_size=8, backend="torch_compile", options={"freezing": True})
    defaults = msgspec.structs.asdict(plugins.backend_options("torch_compile", {}))
    assert config.options == defaults | {"freezing": True}
    assert set(config.knobs) == set(knobs())
    spelt_out = configs.configure(
        hw, batch_size=8, backend="torch_compile", options=config.options, knobs=dict(reversed(config.knobs.items()))
    )
    assert (spelt_out, spelt_out.key) == (config, digest(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"knobs": {"alocator": "system"}}, "unknown knob 'alocator'; did you mean 'allocator'?"),
        ({"options": {"precision": "int3"}}, "options of torch_eager that are not legal: Invalid enum value 'int3'"),
        ({"options": {"precison": "int3"}}, "options of torch_eager that are not legal: Object contains unknown field"),
        ({"backend": "torch_eagle"}, "unknown backend 'torch_eagle'; did you mean 'torch_eager'"),
    ],
)
def test_configure_refuses_what_is_not_legal(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AutotuneError, match=re.escape(message)):
        configs.configure(machine(), **{"batch_size": 1, "backend": "torch_eager"} | changes)


def test_unavailable_asks_knobs_too() -> None:
    config = configs.configure(machine(), batch_size=1, backend="torch_eager", knobs={"layout": "2x2"})
    assert configs.unavailable(config, machine()) == "layout: 2x2 needs 4 cores, and 2 are usable"
    assert configs.unavailable(config, machine(cores=4)) is None


# ------------------------------------------------------------------------------------------------ shipped spaces


@pytest.mark.parametrize("path", space.shipped(), ids=lambda path: path.stem)
@pytest.mark.parametrize("cores", [1, 2, 64])
def test_every_shipped_space_loads_and_bears_its_files_name(path: Path, cores: int) -> None:
    found = space.load(path, machine(cores))
    assert found.name == path.stem
    assert found.budget.trials
    assert found.budget.minutes


def test_find(folder: Path) -> None:
    shipped = {path.stem: path for path in space.shipped()}
    assert {"quick", "resnet50"} < set(shipped)
    assert space.find("resnet50") == space.find("resnet50.yaml") == shipped["resnet50"]
    (folder / "resnet50").mkdir()
    assert space.find("resnet50") == shipped["resnet50"]
    (folder / "resnet50.yaml").write_text("")
    assert space.find("resnet50.yaml") == Path("resnet50.yaml")
    assert space.find(folder / "resnet50.yaml") == folder / "resnet50.yaml"
    names = ", ".join(path.stem for path in space.shipped())
    with pytest.raises(SpaceError) as near:
        space.find("resnet5.yaml")
    assert str(near.value) == (
        f"no space 'resnet5.yaml', neither a file nor shipped; did you mean 'resnet50' or 'resnet50-xeon'? "
        f"shipped: {names}"
    )
    with pytest.raises(SpaceError) as far:
        space.find("\0")
    listed = ", ".join(sorted(shipped))
    assert str(far.value) == rf"no space '\x00', neither a file nor shipped; shipped: {listed}"


# ---------------------------------------------------------------------------------------------------- properties


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Space]:
    """Loads a text from a file that every example writes anew."""
    path = tmp_path_factory.mktemp("written") / "space.yaml"

    def load(text: str) -> Space:
        path.write_text(text)
        return space.load(path, machine())

    return load


@given(low=st.integers(1, 500), span=st.integers(0, 500), step=st.integers(1, 50), log=st.booleans())
def test_a_range_ascends_from_low_to_high(
    low: int, span: int, step: int, log: bool, written: Callable[[str], Space]
) -> None:
    shape = "log: true" if log else f"step: {step}"
    found = written(f"{SEARCH}batch_size: {{low: {low}, high: {low + span}, {shape}}}").domains.batch_size
    assert (found[0], found[-1]) == (low, low + span)
    assert list(found) == sorted(set(found))
    pairs = list(itertools.pairwise(found))[:-1]  # the last step may be shorter
    assert all(b == 2 * a if log else b - a == step for a, b in pairs)
    assert written(f"{SEARCH}batch_size: {list(found)}").domains.batch_size == found


NAMES = [*space.KEYS, "batch_size", "workers", "threads", "layout", "allocator", "huge_pages", "backend", "torch_eager"]
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
