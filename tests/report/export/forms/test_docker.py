from __future__ import annotations

from autotune.report.export import writer
from tests.apply.made import best
from tests.report.export.forms.samples import BOUND, NUMA, SPREAD


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_container_a_worker_on_its_own_cpus() -> None:
    text = writer.text(best(environment={"A": "{cache}"}), "docker")
    common = "--env AUTOTUNE_WORLD_SIZE=2 --volume autotune:/var/cache/autotune IMAGE"
    assert lines(text, "# docker run") == [
        f"# docker run --detach --cpuset-cpus=0 --env AUTOTUNE_RANK=0 {common}",
        f"# docker run --detach --cpuset-cpus=1 --env AUTOTUNE_RANK=1 {common}",
    ]


def test_the_build_ends_where_a_library_is_missing() -> None:
    text = writer.text(best(preload=('/lib/"x".so',)), "docker")
    assert lines(text, "RUN") == ['RUN ["test", "-f", "/lib/\\"x\\".so"]']


def test_memory_is_bound_by_the_cpuset_or_by_the_program() -> None:
    assert ["--cpuset-mems=0" in line for line in lines(writer.text(best(BOUND, NUMA), "docker"), "# docker")] == [
        True,
        False,
    ]
    spread = writer.text(best(SPREAD, NUMA), "docker")
    assert lines(spread, "ENTRYPOINT") == ['ENTRYPOINT ["/usr/bin/numactl", "--interleave=all"]']
    assert "--cpuset-mems" not in spread
