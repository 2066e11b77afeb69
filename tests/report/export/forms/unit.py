"""A systemd unit as systemd.syntax(7) describes it: sections, C escapes within quotes, specifiers."""

from __future__ import annotations

import re

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}


def settings(text: str) -> list[tuple[str, str]]:
    """(key, raw value) of every line that is none of a comment or section; ValueError for one that goes on."""
    found = []
    for line in text.split("\n"):
        if line.endswith("\\"):
            raise ValueError(f"goes on in the next line: {line!r}")
        if line and line[0] not in "#;[":
            key, equals, value = line.partition("=")
            if not equals:
                raise ValueError(f"no assignment: {line!r}")
            found.append((key, value))
    return found


def environment(text: str, instance: str = "") -> dict[str, str]:
    """The variables that all Environment= lines set."""
    words = [word for key, value in settings(text) if key == "Environment" for word in quoted(value)]
    pairs = [word.partition("=") for word in words]
    return {name: specified(value, instance) for name, _, value in pairs}


def quoted(value: str) -> list[str]:
    """The words of a value, all in double quotes; ValueError otherwise."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', value, re.DOTALL)
    if re.sub(r'"(?:[^"\\]|\\.)*"', "", value, flags=re.DOTALL).strip():
        raise ValueError(f"words out of quotes: {value!r}")
    return [re.sub(r"\\(x[0-9a-f]{2}|.)", _character, word, flags=re.DOTALL) for word in words]


def specified(value: str, instance: str) -> str:
    """With specifiers replaced; KeyError for one that is not expected."""
    return re.sub(r"%(.)", lambda found: {"%": "%", "C": "/var/cache", "i": instance}[found[1]], value, flags=re.DOTALL)


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1][1:], 16)) if found[1].startswith("x") else ESCAPES[found[1]]
