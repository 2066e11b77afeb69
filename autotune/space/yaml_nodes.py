"""YAML as people mean it, each value with the line it stands on.

YAML 1.2's core values; what YAML 1.1 reads otherwise (`on`, `010`, `1:30`, `1_000`) is refused with what to write
instead, and so is what a settings file has no need of: tags, anchors, aliases, merge keys, several documents.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from autotune.core.errors import SpaceError, did_you_mean
from autotune.core.struct import Struct

MAX_DEPTH = 16

_WORDS: dict[str, bool | None] = {"": None, "~": None}
for _word, _value in (("null", None), ("true", True), ("false", False)):
    _WORDS |= dict.fromkeys((_word, _word.capitalize(), _word.upper()), _value)

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SWITCH = re.compile(r"(?i:(y|yes|on)|n|no|off)")
_PADDED = re.compile(r"[-+]?0[0-9]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")
_GROUPED = re.compile(r"[-+]?[0-9][0-9.]*(?:_[0-9.]+)+")
_NOT_FINITE = re.compile(r"(?i:[-+]?\.inf|\.nan)")


class Node(Struct):
    """A value of a file: a scalar, a tuple of nodes, or nodes by name.

    `line` is where it stands, for a named one where its name stands; `key` is its path, such as `search.threads[0]`.
    """

    value: Any
    file: str
    line: int
    key: str

    def error(self, what: str, hint: str = "") -> SpaceError:
        """`<what> in <file>, line <line><hint>`."""
        return SpaceError(f"{what} in {self.file}, line {self.line}{hint}")

    def section(self, allowed: tuple[str, ...], noun: str = "key") -> dict[str, Node]:
        """The named nodes, {} where nothing is written; SpaceError if it is something else or a name is not allowed."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.error(f"{self.key} is {self.written}", f"; write its keys and values: {', '.join(allowed)}")
        for name, node in self.value.items():
            if name not in allowed:
                raise node.error(f"unknown {noun} {name!r}", did_you_mean(name, allowed))
        return self.value

    @property
    def written(self) -> str:
        """The value as messages show it."""
        if isinstance(self.value, dict):
            return "a mapping"
        return "a list" if isinstance(self.value, tuple) else written(self.value)


def written(value: object) -> str:
    """A scalar as messages show it: `'text'`, `3`, `true`, `null`."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def read(path: Path) -> Node:
    """The mapping at the root of a file; SpaceError, with the line, for anything that is not plain settings."""
    return parse(text(path), str(path))


def text(path: Path) -> str:
    """A file's text, which is UTF-8 with or without a byte-order mark, with every line end as a line feed."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SpaceError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SpaceError(f"{path}, line {line}, is not UTF-8; save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise SpaceError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def parse(text: str, file: str) -> Node:
    """The mapping at the root of the text of a file, whose name errors bear; SpaceError as `read`."""
    try:
        return _Reader(text, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = 1 if mark is None else mark.line + 1
        raise SpaceError(f"not YAML: {' '.join(str(error.problem).split())} in {file}, line {line}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpaceError(f"the character {error.character:#x} is not allowed in {file}, line {line}") from None


class _Reader:
    """Turns the parser's events into nodes: only events still bear tags, anchors and the style of a scalar."""

    def __init__(self, text: str, file: str) -> None:
        self.parser: Any = yaml.SafeLoader(text)
        self.file = file

    def document(self) -> Node:
        try:
            return self.root()
        except (ValueError, OverflowError):  # what PyYAML lets escape from chr() for "\Uffffffff"
            line = self.parser.line + 1
            raise SpaceError(f"not YAML: an escape that is no character in {self.file}, line {line}") from None

    def root(self) -> Node:
        self.parser.get_event()  # the start of the stream
        if isinstance(self.parser.get_event(), yaml.StreamEndEvent):
            raise SpaceError(f"nothing is written in {self.file}, line 1; see the shipped spaces for an example")
        root = self.node("", None, 0)
        if not isinstance(root.value, dict):
            raise root.error(f"{root.written} where a mapping is needed", "; write `key: value` on each line")
        self.parser.get_event()  # the end of the document
        event = self.parser.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.at(event, "").error("a second document", "; write one document a file, without a second ---")
        return root

    def at(self, event: Any, key: str, line: int | None = None, value: object = None) -> Node:
        return Node(value=value, file=self.file, line=line or event.start_mark.line + 1, key=key)

    def node(self, key: str, line: int | None, depth: int) -> Node:
        event = self.parser.get_event()
        self.refuse_extras(event)
        if depth > MAX_DEPTH:
            raise self.at(event, key).error(f"more than {MAX_DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent):
            return self.at(event, key, line, self.scalar(event, key))
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not self.parser.check_event(yaml.SequenceEndEvent):
                items.append(self.node(f"{key}[{len(items)}]", None, depth + 1))
            self.parser.get_event()
            return self.at(event, key, line, tuple(items))
        return self.at(event, key, line, self.mapping(key, depth))

    def mapping(self, key: str, depth: int) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        while not self.parser.check_event(yaml.MappingEndEvent):
            event = self.parser.get_event()
            self.refuse_extras(event)
            name = self.scalar(event, "a key") if isinstance(event, yaml.ScalarEvent) else None
            where = self.at(event, key)
            if not isinstance(name, str):
                got = written(name) if isinstance(event, yaml.ScalarEvent) else "a list or mapping"
                raise where.error(f"a key is {got}", "; write a name")
            if name == "<<":
                raise where.error("the merge key '<<'", "; write the values out")
            if name in nodes:
                raise where.error(f"duplicate key {name!r}", f"; it already stands on line {nodes[name].line}")
            nodes[name] = self.node(f"{key}.{name}" if key else name, where.line, depth + 1)
        self.parser.get_event()
        return nodes

    def refuse_extras(self, event: yaml.Event) -> None:
        where = self.at(event, "")
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            raise where.error(f"the alias '*{anchor}'", "; write the value out")
        if anchor is not None:
            raise where.error(f"the anchor '&{anchor}'", "; write the value without it")
        if tag is not None:
            raise where.error(f"the tag {tag!r}", "; write the value without it, text in quotes")

    def scalar(self, event: yaml.ScalarEvent, key: str) -> bool | int | float | str | None:
        text = str(event.value)
        where = self.at(event, key)
        if not text.isprintable():
            raise where.error(f"{key} is {text[:40]!r}", "; write text without line breaks and control characters")
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if hint := _ambiguous(text):
            raise where.error(f"{key} is {text}", f"; {hint}")
        value: int | float | str = text
        if _INTEGER.fullmatch(text):
            digits = len(text) < 40  # int() itself refuses thousands of digits
            value = int(text, 0) if digits else math.inf
        elif _FLOAT.fullmatch(text):
            value = float(text)
        if not isinstance(value, str) and not -(2**63) <= value < 2**63:
            raise where.error(f"{key} is {text[:40]}", "; write a number between -2^63 and 2^63")
        return value


def _ambiguous(text: str) -> str | None:
    """The advice for a plain scalar that YAML versions or people read differently."""
    if switch := _SWITCH.fullmatch(text):
        return f"write {'true' if switch[1] else 'false'} or, as text, '{text}' in quotes"
    if _PADDED.fullmatch(text):
        sign, digits = text.rstrip("0123456789"), text.lstrip("-+").lstrip("0") or "0"
        octal = f" or 0o{digits}" if not sign and digits != "0" and set(digits) <= set("01234567") else ""
        return f"write {sign}{digits}{octal}"
    if _GROUPED.fullmatch(text):
        return f"write {text.replace('_', '')}"
    if _SEXAGESIMAL.fullmatch(text):
        return f"write a plain number or, as text, '{text}' in quotes"
    if _NOT_FINITE.fullmatch(text):
        return "write a finite number"
    return None
