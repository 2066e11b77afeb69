"""The test files that the changes since `main` can break, one a line; `make test-changed` runs them.

A file depends on each module that it names, also in text that a child runs, and on each other file whose name it holds.
A test that starts processes or goes through all plugins depends on the whole package.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
EVERYTHING = ("tests/conftest.py", "pyproject.toml", "constraints.txt")
"""A change of one of these can break each test."""
WHOLE_PACKAGE = re.compile(r'\bExtendedPackage\b|\bPlace\b|"-m", "autotune|from autotune\.core import .*\bplugins\b')
FROM = re.compile(r"\bfrom ((?:autotune|tests)[\w.]*) import (\([^)]*\)|[^\n;\"]*)")
DOTTED = re.compile(r"\b(?:autotune|tests)(?:\.\w+)+")


def module(path: str) -> str:
    """The name under which a Python file is imported."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def named(text: str) -> set[str]:
    """The dotted names of this project in a file's text, and those that its imports put together."""
    names = set(DOTTED.findall(text))
    for package, imported in FROM.findall(text):
        names |= {package, *(f"{package}.{name}" for name in re.findall(r"\w+", imported))}
    return names


def dependencies(texts: Mapping[str, str], others: Iterable[str]) -> dict[str, set[str]]:
    """By the path of a Python file, the files that it directly depends on; `others` are paths of no Python files."""
    paths = {module(path): path for path in texts}
    by_name: dict[str, set[str]] = {}
    for path in others:
        by_name.setdefault(Path(path).name, set()).add(path)
    found: dict[str, set[str]] = {}
    for path, text in texts.items():
        prefixes = {
            ".".join(parts[:n]) for name in named(text) if (parts := name.split(".")) for n in range(1, len(parts) + 1)
        }
        found[path] = {paths[name] for name in prefixes if name in paths}
        found[path].update(*(files for name, files in by_name.items() if name in text))
        if path.startswith("tests/") and WHOLE_PACKAGE.search(text):
            found[path] |= {other for other in texts if other.startswith("autotune/")}
    return found


def affected(changed: Iterable[str], depends: Mapping[str, set[str]]) -> list[str]:
    """The test files among the changed ones and those that depend on them, through others too."""
    tests = sorted(path for path in depends if re.search(r"^tests/(.*/)?test_[^/]*\.py$", path))
    reached = set(changed)
    if reached & set(EVERYTHING):
        return tests
    while more := {path for path, on in depends.items() if on & reached} - reached:
        reached |= more
    return [path for path in tests if path in reached]


def git(*arguments: str) -> list[str]:
    """The lines of what git prints; none where it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def main() -> None:
    base = next(
        (found[0] for branch in ("main", "origin/main") if (found := git("merge-base", "HEAD", branch))), "HEAD"
    )
    untracked = git("ls-files", "--others", "--exclude-standard")
    files = [path for path in [*git("ls-files"), *untracked] if (ROOT / path).is_file()]
    code = [path for path in files if path.endswith(".py") and path.startswith(("autotune/", "tests/"))]
    texts = {path: (ROOT / path).read_text() for path in code}
    changed = [*git("diff", "--name-only", base), *untracked]
    gone = {path: "" for path in changed if path not in files and path.endswith(".py")}
    depends = dependencies(texts | gone, (path for path in files if path not in texts))
    print(*(path for path in affected(changed, depends) if path in texts), sep="\n", end="")


if __name__ == "__main__":
    main()
