import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from autotune.core import plugins
from autotune.space.json_schema import schema

SPACES = Path(__file__).parents[2] / "search_spaces"
VALIDATOR = jsonschema.Draft202012Validator(schema())
HEAD = "name: toy\nworkload: {model: torchvision:resnet18, inputs: [{shape: [batch, 3, 32, 32]}]}\n"


def valid(text: str) -> bool:
    return bool(VALIDATOR.is_valid(yaml.safe_load(text)))


def test_it_is_a_schema_and_the_file_beside_the_spaces_is_up_to_date() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    written = json.loads((SPACES / "schema.json").read_text())
    assert written == schema(), "run: python -m autotune schema > search_spaces/schema.json"


@pytest.mark.parametrize("path", sorted(SPACES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_space_is_valid_and_names_the_schema(path: Path) -> None:
    named = "schema.json" if path.parent == SPACES else "../schema.json"
    assert path.read_text().startswith(f"# yaml-language-server: $schema={named}\n")
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "search",
    [
        "",
        "{}",
        "{batch_size: 4, workers: auto, threads: {low: 1, high: 4}}",
        "{batch_size: {low: 1, high: 64, log: true}, layout: [1x2, 2x1]}",
        "{huge_pages: [false, true], allocator: tcmalloc}",
        "{backend: {torch_eager: , torch_compile: {freezing: auto, precision: [float32, bfloat16]}}}",
    ],
)
def test_what_loads_is_valid(search: str) -> None:
    assert valid(f"{HEAD}search: {{}}\nobjective: [throughput, setup_s]\nconstraints: {{latency_p99_ms: {{max: 1}}}}")
    assert valid(f"{HEAD}search: {{}}\nlimits: {{build_s: 3600, idle_s: 0.5}}")
    assert valid(HEAD.replace("}]}", "}], env: [MODEL_DIR, PYTHONPATH]}") + "search: {}")
    hard = "{cosine_similarity: {min: 0.9, unjudged: reject}}"
    assert valid(f"{HEAD}search: {{}}\nconstraints: {hard}")
    assert valid(f"{HEAD}search: {search}\nconstraints: {{}}\nbaseline: {{batch_size: 2, backend: {{openvino: {{}}}}}}")


@pytest.mark.parametrize(
    "text",
    [
        "name: toy\nsearch: {}",
        HEAD + "serch: {}",
        HEAD.replace("toy", "a/b") + "search: {}",
        HEAD.replace("torchvision", "torchvison") + "search: {}",
        HEAD.replace("batch", "1") + "search: {}",
        HEAD + "search: {}\nobjective: latency",
        HEAD + "search: {}\nlimits: {build_s: 0}",
        HEAD.replace("}]}", "}], env: {MODEL_DIR: /models}}") + "search: {}",
        HEAD + "search: {}\nconstraints: {latency: {max: 1}}",
        HEAD + "search: {}\nconstraints: {latency_p99_ms: {}}",
        HEAD + "search: {}\nconstraints: {latency_p99_ms: {unjudged: reject}}",
        HEAD + "search: {}\nconstraints: {latency_p99_ms: {max: 1, unjudged: maybe}}",
        HEAD + "search: {}\nobjective: [throughput, throughput]",
        HEAD + "search: {}\nbudget: {minutes: 0}",
        HEAD + "search: {}\nbaseline: {batch_size: [1]}",
        HEAD + "search: {}\nbaseline: {backend: {openvino: {}, onnxruntime: {}}}",
        *(
            f"{HEAD}search: {search}"
            for search in (
                "{batch_size: 0}",
                "{batch_size: auto}",
                "{batch_size: []}",
                "{batch_size: [1, 1]}",
                "{batch_size: {low: 1}}",
                "{alocator: auto}",
                "{allocator: malloc}",
                "{huge_pages: 1}",
                "{layout: two}",
                "{backend: {}}",
                "{backend: {torch_eagre: {}}}",
                "{backend: {torch_eager: {precison: float32}}}",
                "{backend: {torch_eager: {precision: [int3]}}}",
            )
        ),
    ],
)
def test_what_is_refused_is_not_valid(text: str) -> None:
    assert not valid(text)


@pytest.mark.parametrize(
    ("serving", "right"),
    [
        ("{latency_p99_ms: 100, queue_delay_ms: 10}", True),
        ("{latency_p50_ms: 0.5}", True),
        ("{queue_delay_ms: 10}", False),
        ("{latency_p50_ms: 5, latency_p99_ms: 9}", False),
        ("{latency_p98_ms: 9}", False),
        ("{latency_p99_ms: 0}", False),
        ("{latency_p99_ms: 9, queue_delay_ms: -1}", False),
    ],
)
def test_serving_keeps_one_latency(serving: str, right: bool) -> None:
    text = HEAD.replace("]}]}\n", f"]}}], serving: {serving}}}\n")
    assert "serving" in text
    assert valid(f"{text}search: {{}}") is right


def test_a_command_serves_no_requests() -> None:
    text = 'name: toy\nworkload: {model: "command:./bench"%s}\nsearch: {}'
    assert valid(text % "")
    assert not valid(text % ", serving: {latency_p99_ms: 5}")


@pytest.mark.parametrize(
    ("workload", "right"),
    [
        ("{model: torchvision:x, data: digits.npz}", True),
        ("{model: torchvision:x, data: file.py:load}", True),
        ("{model: torchvision:x, data: {source: digits.npz, metric: f1, samples: 9, calibration: 3}}", True),
        ("{model: torchvision:x, data: {source: digits.npz, metric: own.py:score}}", True),
        ("{model: python:x, data: digits.npz}", True),
        ("{model: torchvision:x}", False),
        ("{model: torchvision:x, data: digits.csv}", False),
        ("{model: torchvision:x, data: {metric: f1}}", False),
        ("{model: torchvision:x, data: {source: digits.npz, metric: f2}}", False),
        ("{model: torchvision:x, data: {source: digits.npz, samples: 0}}", False),
        ("{model: torchvision:x, data: digits.npz, inputs: [{shape: [batch]}]}", False),
        ("{model: python:x, data: digits.npz, inputs: [{shape: [batch]}]}", False),
        ("{model: command:x, data: digits.npz}", False),
        ("{model: torchvision:x, inputs: rows.npz}", True),
        ("{model: torchvision:x, inputs: {source: pictures, samples: 9, calibration: 3}}", True),
        ("{model: torchvision:x, inputs: {source: rows.npz, described: [{shape: [2, batch]}]}}", True),
        ("{model: torchvision:x, inputs: {source: rows.npz, described: [{shap: [2, batch]}]}}", False),
        ("{model: torchvision:x, inputs: rows.npz, allow: generated_calibration}", True),
        ("{model: torchvision:x, inputs: rows.npz, allow: [generated_calibration]}", True),
        ("{model: torchvision:x, inputs: {source: rows.npz, metric: f1}}", False),
        ("{model: torchvision:x, inputs: rows.npz, allow: int8}", False),
        ("{model: torchvision:x, inputs: rows.npz, data: digits.npz}", False),
        ("{model: command:x, inputs: rows.npz}", False),
    ],
)
def test_data_stands_in_for_inputs(workload: str, right: bool) -> None:
    assert valid(f"name: toy\nworkload: {workload}\nsearch: {{}}") is right


def test_an_editor_completes_what_the_plugins_declare() -> None:
    properties: dict[str, Any] = schema()["properties"]
    search = properties["search"]["properties"]
    assert set(search) == {"batch_size", "workers", "threads", "backend", *plugins.names("knobs")}
    assert set(search["backend"]["properties"]) == set(plugins.names("backends"))
    one, several, auto = search["backend"]["properties"]["openvino"]["properties"]["precision"]["anyOf"]
    assert one == several["items"] == {"enum": ["bfloat16", "float16", "float32", "int8"]}
    assert auto == {"const": "auto"}
    assert [form["properties"]["model"]["pattern"] for form in properties["workload"]["anyOf"]] == [
        f"^{name}:.+" for name in plugins.names("workloads")
    ]
