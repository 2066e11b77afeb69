import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autotune.core.errors import SpaceError
from autotune.space import yaml_nodes


def read(text: str, tmp_path: Path) -> yaml_nodes.Node:
    path = tmp_path / "space.yaml"
    path.write_bytes(text.encode())
    return yaml_nodes.read(path)


def refusal(text: str, tmp_path: Path) -> str:
    """The message without the folder."""
    with pytest.raises(SpaceError) as caught:
        read(text, tmp_path)
    return str(caught.value).replace(f"{tmp_path}/", "")


def plain(node: yaml_nodes.Node) -> object:
    if isinstance(node.value, dict):
        return {name: plain(part) for name, part in node.value.items()}
    return [plain(part) for part in node.value] if isinstance(node.value, tuple) else node.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-2.5E-3", -0.0025),
        ("'on'", "on"),
        ('"1"', "1"),
        ("2x1", "2x1"),
        ("2024-01-01", "2024-01-01"),
        ("torchvision:resnet50", "torchvision:resnet50"),
        ("'1:30'", "1:30"),
        ("nULL", "nULL"),
        ("[1, [a]]", [1, ["a"]]),
        ("{low: 1, b: []}", {"low": 1, "b": []}),
    ],
)
def test_values_are_what_people_mean(text: str, value: object, tmp_path: Path) -> None:
    found = plain(read(f"key: {text}\n", tmp_path))
    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        *((word, f"write true or, as text, '{word}' in quotes") for word in ("on", "Yes", "y", "ON")),
        *((word, f"write false or, as text, '{word}' in quotes") for word in ("off", "No", "n")),
        ("010", "write 10 or 0o10"),
        ("-010", "write -10"),
        ("089", "write 89"),
        ("00", "write 0"),
        ("1_000", "write 1000"),
        ("1:30", "write a plain number or, as text, '1:30' in quotes"),
        (".inf", "write a finite number"),
        ("-.Inf", "write a finite number"),
        (".NaN", "write a finite number"),
        ("1e999", "write a number between -2^63 and 2^63"),
        ("9223372036854775808", "write a number between -2^63 and 2^63"),
    ],
)
def test_ambiguous_values_are_refused_with_what_to_write(text: str, hint: str, tmp_path: Path) -> None:
    assert refusal(f"\na:\n  b: {text}\n", tmp_path) == f"a.b is {text} in space.yaml, line 3; {hint}"


def test_a_number_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    assert "line 1; write a number between" in refusal(f"a: {'9' * 5000}", tmp_path)


def test_each_value_knows_its_line_and_key(tmp_path: Path) -> None:
    root = read("# comment\na: 1\nb:\n  c:\n    - 1\n    - {d: 2}\n", tmp_path)
    a, c = root.value["a"], root.value["b"].value["c"]
    assert [(a.key, a.line), (c.key, c.line)] == [("a", 2), ("b.c", 4)]
    assert [(item.key, item.line) for item in c.value] == [("b.c[0]", 5), ("b.c[1]", 6)]
    assert c.value[1].value["d"].key == "b.c[1].d"
    assert str(c.error("wrong", "; mend it")) == f"wrong in {tmp_path}/space.yaml, line 4; mend it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: !!str 2\n", "the tag 'tag:yaml.org,2002:str' in space.yaml, line 2; write the value without it"),
        ("a: !x {}\n", "the tag '!x' in space.yaml, line 1; write the value without it"),
        (
            "a:\n  !!python/name:x []\n",
            "the tag 'tag:yaml.org,2002:python/name:x' in space.yaml, line 2",
        ),
        ("a: 1\n!x b: 2\n", "the tag '!x' in space.yaml, line 2"),
        ("a: &one 1\n", "the anchor '&one' in space.yaml, line 1; write the value without it"),
        ("a: 1\nb: *one\n", "the alias '*one' in space.yaml, line 2; write the value out"),
        ("a: 1\n<<: {b: 2}\n", "the merge key '<<' in space.yaml, line 2; write the values out"),
        ("a: 1\nb: 2\na: 3\n", "duplicate key 'a' in space.yaml, line 3; it already stands on line 1"),
        ("a: {b: 1, b: 1}\n", "duplicate key 'b' in space.yaml, line 1; it already stands on line 1"),
        ("a: 1\n---\nb: 2\n", "a second document in space.yaml, line 2; write one document a file"),
        ("1: a\n", "a key is 1 in space.yaml, line 1; write a name"),
        ("a: 1\ntrue: a\n", "a key is true in space.yaml, line 2; write a name"),
        ("? [a]\n: b\n", "a key is a list or mapping in space.yaml, line 1; write a name"),
        ("on: 1\n", "a key is on in space.yaml, line 1; write true or, as text, 'on' in quotes"),
        ("", "nothing is written in space.yaml, line 1; see the shipped spaces for an example"),
        ("# only this\n", "nothing is written in space.yaml, line 1; see the shipped spaces for an example"),
        ("- a\n", "a list where a mapping is needed in space.yaml, line 1; write `key: value` on each line"),
        ("text\n", "'text' where a mapping is needed in space.yaml, line 1; write `key: value` on each line"),
        ("a: |\n  two\n  lines\n", r"a is 'two\nlines\n' in space.yaml, line 1; write text without line breaks"),
        ("a: 1\nb: [1\n", "not YAML: expected ',' or ']', but got '<stream end>' in space.yaml, line 3"),
        ("a: 1\nb: `x`\n", "not YAML: found character '`' that cannot start any token in space.yaml, line 2"),
        ('a: 1\nb: "\\Uffffffff"\n', "not YAML: an escape that is no character in space.yaml, line 2"),
        ('a: "\\ud800"\n', r"a is '\ud800' in space.yaml, line 1; write text without line breaks"),
        ("a: 1\nb: \x01\n", "the character 0x1 is not allowed in space.yaml, line 2"),
        ("a: " + "[" * 30 + "]" * 30, "more than 16 levels in space.yaml, line 1"),
    ],
)
def test_what_is_not_plain_settings_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path).startswith(message)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=re.escape(f"there is no file {tmp_path}/missing.yaml")):
        yaml_nodes.read(tmp_path / "missing.yaml")
    with pytest.raises(SpaceError, match=re.escape(f"cannot read {tmp_path}: Is a directory")):
        yaml_nodes.read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: größe\n".encode("latin-1"))
    with pytest.raises(SpaceError, match=r"latin.yaml, line 2, is not UTF-8; save it as UTF-8"):
        yaml_nodes.read(tmp_path / "latin.yaml")


def test_a_byte_order_mark_and_windows_line_ends_are_passed_over(tmp_path: Path) -> None:
    root = read("\ufeffa: 1\r\nb: 2\r\n", tmp_path)
    assert plain(root) == {"a": 1, "b": 2}
    assert root.value["b"].line == 2


SIGNS = [*":{}[],'\"\\&*!|>%@#?~\t\x85\n", ": ", "- ", "\n  ", "---", "...", "<<", "\\U", "\\x"]
WORDS = ["a", "b", "é", "0", "1e3", ".5", "on"]
yaml_like = st.lists(st.sampled_from([*SIGNS, *WORDS]), max_size=30).map("".join)


@given(text=st.text() | yaml_like | st.binary())
@example(text="%YAML 9.9\n---\na: 1")
@example(text="\ud800")
@example(text='a: "\\Uffffffff')
def test_any_file_is_read_or_refused_with_its_line(text: str | bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    try:
        assert isinstance(yaml_nodes.read(path).value, dict)
    except SpaceError as error:
        assert re.search(r"any\.yaml, line \d+", str(error))
        assert str(error).isprintable()


scalars = (
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(-1e18, 1e18) | st.text(alphabet="abc 01:#'")
)


@given(data=st.dictionaries(st.text("abcxyz_", min_size=1), scalars | st.lists(scalars), max_size=5))
def test_what_json_writes_is_read_back(data: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(json.dumps(data))
    assert plain(yaml_nodes.read(path)) == data
