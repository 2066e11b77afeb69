"""A unit for systemd: a service, or for several workers a template with an instance each.

Quoting is that of systemd.syntax(7): C escapes within double quotes, `%%` for a per cent sign, and `$$` for a dollar in
commands only.
"""

from __future__ import annotations

import re

from autotune.core.best import Best
from autotune.report.export.forms import _settings

CACHE = "%C/autotune"
ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "%": "%%"}
PROGRAM = "/usr/local/bin/PROGRAM"


def text(best: Best) -> str:
    """The unit; it does not start if a library to preload is missing."""
    several = len(best.layout) > 1
    unit = f"autotune-{_settings.label(best)}{'@' if several else ''}.service"
    usage = f"/etc/systemd/system/{unit}; write your own program, with its full path, in place of {PROGRAM}"
    lines = [*_settings.heading(best, CACHE), *_settings.comment(usage)]
    if several:
        instances = " ".join(unit.replace("@", f"@{rank}") for rank in range(len(best.layout)))
        lines += _settings.comment(f"one instance a worker: systemctl enable --now {instances}")
    lines += ["", "[Unit]", f"Description={_settings.label(best)} as tuned by autotune"]
    # A line that ends in a backslash would go on in the next.
    lines += [f"AssertPathExists={path.replace('%', '%%')}" for path in best.preload if not path.endswith("\\")]
    lines += ["", "[Service]"]
    lines += [_variable(name, value) for name, value in _settings.variables(best, "{cache}").items()]
    lines += [f"UnsetEnvironment={name}" for name in _settings.unset(best)]
    lines += ["CacheDirectory=autotune"] if _settings.cached(best) else []
    lines += _instances(best) if several else _single(best)
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""])


def _single(best: Best) -> list[str]:
    (place,) = best.layout
    words = [_word(word) for word in _settings.prefix(best, place)]
    return [
        f"CPUAffinity={' '.join(map(str, place.cpus))}",
        'Environment="AUTOTUNE_RANK=0" "AUTOTUNE_WORLD_SIZE=1"',
        f"ExecStart={' '.join([*words, PROGRAM])}",
    ]


def _instances(best: Best) -> list[str]:
    """Each instance finds its CPUs and NUMA nodes in variables that end in its number."""
    ranks = list(enumerate(best.layout))
    lines = [_variable(f"AUTOTUNE_CPUS_{rank}", _settings.cpus(place)) for rank, place in ranks]
    if best.argv_prefix:
        lines += [_variable(f"AUTOTUNE_NODES_{rank}", _settings.nodes(best, place)) for rank, place in ranks]
    words = [_word(word).replace("{node}", "${AUTOTUNE_NODES_%i}") for word in best.argv_prefix]
    return [
        *lines,
        f'Environment="AUTOTUNE_RANK=%i" "AUTOTUNE_WORLD_SIZE={len(ranks)}"',
        f"ExecStart={' '.join(['/usr/bin/taskset -c ${AUTOTUNE_CPUS_%i}', *words, PROGRAM])}",
    ]


def _variable(name: str, value: str) -> str:
    return f'Environment="{name}={_escaped(value).replace("{cache}", CACHE)}"'


def _word(word: str) -> str:
    return f'"{_escaped(word).replace("$", "$$")}"'


def _escaped(text: str) -> str:
    plain = "".join(ESCAPED.get(each, each) for each in text)
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", plain)
