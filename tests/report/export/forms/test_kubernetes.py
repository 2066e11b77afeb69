from __future__ import annotations

from typing import Any

import msgspec
import yaml

from autotune.core.best import Best
from autotune.core.machine import Cpu
from autotune.report.export import writer
from tests.apply.made import best
from tests.report.export.forms.samples import BOUND, NUMA, SPREAD, container, single
from tests.report.made import HW


def deployment(found: Best) -> Any:
    return yaml.safe_load(writer.text(found, "kubernetes"))


def test_a_replica_a_worker_each_guaranteed() -> None:
    found = deployment(best())
    assert found["spec"]["replicas"] == 2
    (one,) = found["spec"]["template"]["spec"]["containers"]
    assert one["resources"]["requests"] == one["resources"]["limits"] == {"cpu": "1", "memory": "768Mi"}
    assert found["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    labels = found["spec"]["template"]["metadata"]["labels"]
    assert found["spec"]["selector"]["matchLabels"] == labels == {"app": "autotune-resnet18"}


def test_a_thread_gets_a_whole_core() -> None:
    """Kubernetes counts hyperthreads."""
    cpus = tuple(Cpu(id=i, core=i % 2, socket=0, node=0) for i in range(4))
    hw = msgspec.structs.replace(HW, cpus=cpus, allowed_cpus=(0, 1, 2, 3))
    text = writer.text(best(hw=hw), "kubernetes")
    assert container(text)["resources"]["limits"]["cpu"] == "2"
    assert "full-pcpus-only" in text


def test_memory_that_was_not_measured_is_left_to_the_reader() -> None:
    measured = msgspec.structs.replace(best().measured, peak_rss_bytes=None)
    text = writer.text(best(measured=measured), "kubernetes")
    assert container(text)["resources"]["limits"] == {"cpu": "1"}
    assert "memory was not measured" in text


def test_the_cache_is_a_volume() -> None:
    pod = deployment(single({"TMPDIR": "{cache}/inductor"}))["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "cache", "mountPath": "/var/cache/autotune"}]
    assert pod["volumes"] == [{"name": "cache", "emptyDir": {}}]
    assert "volumes" not in deployment(single({}))["spec"]["template"]["spec"]


def test_memory_policies_are_the_programs_or_the_nodes() -> None:
    assert container(writer.text(best(SPREAD, NUMA), "kubernetes"))["command"] == [
        "/usr/bin/numactl",
        "--interleave=all",
        "PROGRAM",
    ]
    bound = writer.text(best(BOUND, NUMA), "kubernetes")
    assert "command" not in container(bound) and "topologyManagerPolicy: single-numa-node" in bound


def test_a_name_that_no_cluster_allows() -> None:
    workload = msgspec.structs.replace(best().workload, model="python:../a b/$(x)")
    assert deployment(best(workload=workload))["metadata"]["name"] == "autotune-a-b-x"
    nothing = msgspec.structs.replace(best().workload, model="python:☃")
    assert deployment(best(workload=nothing))["metadata"]["name"] == "autotune-model"
