"""The documentation holds: links lead somewhere, commands parse, files and modules exist, the shown plugins run."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from autotune.cli.app import app
from autotune.core.results import Status
from autotune.core.workload_spec import WorkloadSpec
from tests.conftest import ExtendedPackage

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "plugins.md"
FILES = dict(re.findall(r"^`(autotune/\S+\.py)`:\n\n```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture
def extended(lab: ExtendedPackage) -> Iterator[ExtendedPackage]:
    """The lab with the page's files in its copy of the package, for one test."""
    for name, text in FILES.items():
        path = lab.package / name
        assert not path.exists()
        path.write_text(text)
    yield lab
    for name in FILES:
        (lab.package / name).unlink()


def test_the_page_has_one_plugin_of_each_kind() -> None:
    assert [Path(name).parent.name for name in FILES] == ["knobs", "backends", "workloads"]


def test_its_plugins_work_together_in_a_real_trial(extended: ExtendedPackage, tmp_path: Path) -> None:
    workload = WorkloadSpec(model="layers:8x16x4", inputs=())
    options = {"memory_format": "contiguous", "precision": "float32"}
    isa = "avx2" if "avx2" in extended.hardware.isa else "default"
    spec = extended.spec("torch_jit", options, workload=workload, onednn_isa=isa)
    (result,) = extended.execute(tmp_path, [spec]).results
    assert (result.status, result.error) == (Status.OK, None)
    assert result.fidelity is not None and result.fidelity.max_abs_error < 1e-5


# ---------------------------------------------------------------------------------------------------------- the pages

PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "studies/README.md")), *ROOT.glob("docs/*.md")]
OF_TODAY = [page for page in PAGES if page.name != "log.md"]
"""All but the log, which tells of commands and files of its time."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
WORDS = {"TRIAL": "1", "N": "1", "FORM": "json"}
"""Stand-ins of the documentation, and a word that the option takes."""

EXAMPLES = {*FILES, "tests/knobs/test_onednn_isa.py"}
PACKAGES = [path.parent.name for path in ROOT.glob("autotune/*/__init__.py")]


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """The pieces of code within a page's sentences and tables, each on one line."""
    return [" ".join(span.split()) for span in CODE.findall(prose(page))]


def shell(page: Path) -> list[str]:
    """The lines of a page's blocks for a shell, and the pieces of code within its sentences."""
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    for_shells = [text for language, text in blocks if language in ("", "sh", "bash")]
    return [line for text in for_shells for line in text.replace("\\\n", " ").splitlines()] + spans(page)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


of_each_page = pytest.mark.parametrize("page", OF_TODAY, ids=named)


# ---------------------------------------------------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{named(page)}: {link}"


# ------------------------------------------------------------------------------------------------------- commands


def arguments(line: str) -> list[str] | None:
    """The words after `python -m autotune` in a line, the first of several choices; None for another command."""
    command = shlex.split(line.partition(" > ")[0], comments=True) if "-m autotune" in line else []
    words = [word.strip("[]").split("|")[0] for word in command if word != "..."]
    begin = next((at for at, pair in enumerate(pairwise(words), 1) if pair == ("-m", "autotune")), None)
    return None if begin is None else [WORDS.get(word, word) for word in words[begin + 1 :] if word]


def parse(command: Any, words: list[str], parent: Any = None) -> None:
    """Parse a command line, without running anything; click's UsageError for what there is not."""
    context = command.make_context(command.name, list(words), parent=parent)
    rest = [*context._protected_args, *context.args]
    if isinstance(command, TyperGroup) and rest:
        _, chosen, rest = command.resolve_command(context, rest)
        parse(chosen, rest, context)


@of_each_page
def test_commands_are_understood(page: Path) -> None:
    for words in filter(None, map(arguments, shell(page))):
        # A command that is only named, such as `python -m autotune run`, lacks its arguments.
        with contextlib.suppress(typer.Exit):
            parse(typer.main.get_command(app), words if len(words) > 1 else [*words, "--help"])


def test_a_command_that_there_is_not_would_be_noticed() -> None:
    for line in ("shwo STUDY", "show", "show STUDY --colour", "--trials many", "environments x"):
        with pytest.raises(Exception, match=r"No such|Missing|valid integer"):
            parse(typer.main.get_command(app), line.split())
    assert len(list(filter(None, map(arguments, shell(ROOT / "README.md"))))) > 15


@of_each_page
def test_targets_of_make_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {name for names in re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE) for name in names.split()}
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    for line in shell(page):
        first, *words = re.sub(r"#.*|<[^>]*>", "", line).split() or [""]
        if first == "make":
            assert {word for word in words if "=" not in word} <= targets, f"{named(page)}: {line}"
            assert {word.partition("=")[0] for word in words if "=" in word} <= variables, f"{named(page)}: {line}"


# ------------------------------------------------------------------------------------------------ files and modules


@of_each_page
def test_files_exist(page: Path) -> None:
    """A file may be named by the end of its path; capitals and `*` stand for any name."""
    missing: list[str] = []
    for span in spans(page):
        folder = re.fullmatch(r"\w[\w/]*/", span) and (ROOT / span.split("/")[0]).is_dir()
        if (folder or re.fullmatch(r"(?!/)[\w./*-]+\.(py|sh|toml)", span)) and span not in EXAMPLES:
            pattern = re.sub(r"\bNAME\b|(?<=_)NAME", "*", span)
            known = [path for root in ("", "autotune/**/", "search_spaces/**/") for path in ROOT.glob(root + pattern)]
            missing += [] if known else [span]
    assert missing == []


@of_each_page
def test_modules_exist(page: Path) -> None:
    """`launch.process` is a module; `core.interfaces.Knob` a name in one."""
    missing: list[str] = []
    for span in spans(page):
        if (
            re.fullmatch(rf"(autotune\.)?({'|'.join(PACKAGES)})(\.\w+)+(?<!\.json|\.yaml|\.html)(?<!\.db)", span)
            and span not in EXAMPLES
        ):
            missing += [] if _is_module(span.removeprefix("autotune.").split(".")) else [span]
    assert missing == []


def _is_module(parts: list[str]) -> bool:
    path = ROOT / "autotune"
    for at, part in enumerate(parts):
        if (path / part / "__init__.py").exists():
            path /= part
        elif (path / f"{part}.py").exists():
            text = (path / f"{part}.py").read_text()
            defined = (rf"^\s*(def|class) {name}\b|^{name}\b" for name in parts[at + 1 :])
            return all(re.search(pattern, text, re.MULTILINE) for pattern in defined)
        else:
            return False
    return True
