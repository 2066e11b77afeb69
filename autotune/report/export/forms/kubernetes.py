"""A Deployment with a replica a worker, each a container of its own that asks for whole CPUs.

Replicas, and not containers of one pod: these would share ports and a name, and a program would have to know its rank.
Requests that equal limits make the pod Guaranteed, and to such a one the static CPU manager of a node gives CPUs of its
own: the pinning that was measured, wherever the scheduler puts it.
"""

from __future__ import annotations

import math
from typing import Any

from autotune.core.best import Best
from autotune.report.export.forms import _settings

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MEMORY_FACTOR = 1.5
"""Memory for a program beside what the model needed when it was measured."""


def text(best: Best) -> str:
    """YAML; IMAGE and the program in it are for the reader to name."""
    import yaml

    threads, siblings = best.layout[0].threads, _siblings(best)
    said = [
        "needs nodes with the kubelet's cpuManagerPolicy: static, which gives a Guaranteed pod CPUs of its own",
        f"a worker has a core for each thread: {threads}"
        + (f", of {siblings} CPUs each (the policy's option full-pcpus-only)" if siblings > 1 else ""),
        f"{len(best.layout)} workers were measured side by side on one machine: as many replicas on a node like it",
    ]
    if best.measured.peak_rss_bytes is None:
        said.append("memory was not measured: a limit of your own, equal to the request, makes the pod Guaranteed")
    else:
        said.append(f"memory is {MEMORY_FACTOR} times what a worker had when measured; your program may need more")
    if best.argv_prefix and any("{node}" in word for word in best.argv_prefix):
        said.append("memory was bound to the CPUs' NUMA node: topologyManagerPolicy: single-numa-node does so")
    said += [f"{name} must not be set in the image" for name in _settings.unset(best)]
    document = yaml.safe_dump(_deployment(best, threads * siblings), sort_keys=False, allow_unicode=False, width=4096)
    return "\n".join([*_settings.heading(best), *_settings.comment(*said), document])


def _deployment(best: Best, cpus: int) -> dict[str, Any]:
    labels = {"app": f"autotune-{_settings.label(best)}"}
    amounts = {"cpu": str(cpus)}
    if best.measured.peak_rss_bytes is not None:
        each = best.measured.peak_rss_bytes * MEMORY_FACTOR / len(best.layout)
        amounts["memory"] = f"{math.ceil(each / 2**20)}Mi"
    container: dict[str, Any] = {
        "name": "worker",
        "image": "IMAGE",
        # `$(NAME)` would be replaced; two dollars stand for one.
        "env": [{"name": name, "value": value.replace("$", "$$")} for name, value in _settings.variables(best).items()],
        "resources": {"requests": amounts, "limits": dict(amounts)},
    }
    if best.argv_prefix and not any("{node}" in word for word in best.argv_prefix):
        container["command"] = [*(word.replace("$", "$$") for word in best.argv_prefix), "PROGRAM"]
    pod: dict[str, Any] = {"containers": [container]}
    if best.hardware.architecture in ARCHITECTURES:
        pod = {"nodeSelector": {"kubernetes.io/arch": ARCHITECTURES[best.hardware.architecture]}, **pod}
    if _settings.cached(best):
        container["volumeMounts"] = [{"name": "cache", "mountPath": _settings.CACHE}]
        pod["volumes"] = [{"name": "cache", "emptyDir": {}}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": labels["app"], "labels": dict(labels)},
        "spec": {
            "replicas": len(best.layout),
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _siblings(best: Best) -> int:
    """CPUs of a core on the tuned machine: a thread was measured on a core of its own, and Kubernetes counts CPUs."""
    cores = {cpu.id: cpu.core for cpu in best.hardware.cpus}
    used = {cores[cpu] for place in best.layout for cpu in place.cpus if cpu in cores}
    return max((list(cores.values()).count(core) for core in used), default=1)
