from __future__ import annotations

from autotune.core.space_types import Domains
from autotune.report.text import settings
from tests.report.made import config

SEARCHED = Domains(
    batch_size=(1, 8),
    knobs={"allocator": ("system", "tcmalloc")},
    backends={"torch_eager": {}, "openvino": {"precision": ("float32", "int8")}},
)


def test_a_configuration_has_the_options_of_its_backend_under_its_name() -> None:
    found = settings.of_config(config("openvino", 8, {"precision": "int8"}, allocator="tcmalloc"))
    assert (found["batch_size"], found["backend"], found["openvino.precision"]) == (8, "openvino", "int8")
    assert found["allocator"] == "tcmalloc"


def test_domains_have_every_setting_with_its_values() -> None:
    assert settings.of_domains(SEARCHED) == {
        "batch_size": (1, 8),
        "allocator": ("system", "tcmalloc"),
        "backend": ("torch_eager", "openvino"),
        "openvino.precision": ("float32", "int8"),
    }
