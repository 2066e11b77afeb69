"""Lines of a Dockerfile, and the `docker run` of each worker: a container a worker, which the kernel keeps apart."""

from __future__ import annotations

import json

from autotune.core.best import Best
from autotune.report.export.forms import _settings

ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$"})


def text(best: Best) -> str:
    """ENV lines, a check that the libraries to preload are in the image, and commands; StudyError for a line break."""
    found = _settings.one_line(best, "docker")
    last = "write these lines last: LD_PRELOAD and the rest count for what is built after them, too"
    lines = [*_settings.heading(best), *_settings.comment(last)]
    if best.preload:
        lines += _settings.comment("the build ends here if a library is missing")
        lines += [f"RUN {json.dumps(['test', '-f', path])}" for path in best.preload]
    lines += _settings.comment(*(f"{name} must not be set" for name in _settings.unset(best)))
    lines += [f'ENV {name}="{value.translate(ESCAPED)}"' for name, value in found.items()]
    everywhere = [word for word in best.argv_prefix if "{node}" in word]
    if best.argv_prefix and not everywhere:
        lines += _settings.comment("needs that program in the image, and docker run --cap-add SYS_NICE")
        lines.append(f"ENTRYPOINT {json.dumps(best.argv_prefix)}")
    lines += _settings.comment("one container a worker, on the tuned machine's CPUs (IMAGE and the program are yours):")
    lines += _settings.comment(*(_run(best, rank, bound=bool(everywhere)) for rank in range(len(best.layout))))
    return "\n".join([*lines, ""])


def _run(best: Best, rank: int, *, bound: bool) -> str:
    place = best.layout[rank]
    words = ["docker run --detach", f"--cpuset-cpus={_settings.cpus(place)}"]
    words += [f"--cpuset-mems={_settings.nodes(best, place)}"] if bound else []
    words += [f"--env AUTOTUNE_RANK={rank} --env AUTOTUNE_WORLD_SIZE={len(best.layout)}"]
    words += [f"--volume autotune:{_settings.CACHE}"] if _settings.cached(best) else []
    return " ".join([*words, "IMAGE"])
