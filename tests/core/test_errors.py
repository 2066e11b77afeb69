from __future__ import annotations

import re

import pytest

from autotune.core import errors
from autotune.core.errors import AutotuneError, did_you_mean


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(error.__name__ for error in AutotuneError.__subclasses__())
    assert all(error.__doc__ for error in AutotuneError.__subclasses__())


@pytest.mark.parametrize(
    ("got", "hint"),
    [
        ("alocator", "; did you mean 'allocator'?"),
        ("worker", "; did you mean 'workers'?"),
        ("thread", "; did you mean 'threads' or 'thread_pool'?"),
        ("frobnicate", "; allowed: allocator, thread_pool, threads, workers"),
        ("", "; allowed: allocator, thread_pool, threads, workers"),
    ],
)
def test_the_near_names_or_else_all_sorted(got: str, hint: str) -> None:
    assert did_you_mean(got, ("workers", "threads", "allocator", "thread_pool")) == hint
