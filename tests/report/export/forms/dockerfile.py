"""Dockerfile's ENV as BuildKit reads it: words by quotes and backslashes, variables replaced but for `\\$`."""

from __future__ import annotations


def variables(text: str) -> dict[str, str]:
    """The variables of all ENV lines, each with one value in double quotes; ValueError for a line that is not so."""
    found = {}
    for line in text.split("\n"):
        if line.startswith("ENV "):
            name, _, value = line.removeprefix("ENV ").partition("=")
            found[name] = _unquoted(value)
        elif line and not line.startswith(("# ", "RUN [", "ENTRYPOINT [")):
            raise ValueError(f"not an instruction: {line!r}")
    return found


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"':
        raise ValueError(f"not in quotes: {value!r}")
    read, rest = "", value[1:]
    while rest[0] != '"':
        if rest[0] == "$":
            raise ValueError("a variable would be replaced")
        taken = rest[1] if rest[0] == "\\" and rest[1] in '"\\$' else rest[0]
        read, rest = read + taken, rest[2 if rest[0] == "\\" and rest[1] in '"\\$' else 1 :]
    if rest != '"':
        raise ValueError(f"more after the quotes: {rest!r}")
    return read
