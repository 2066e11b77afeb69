from __future__ import annotations

from autotune.core.results import Status
from autotune.report.text import failure_causes
from tests.report.made import result


def test_errors_that_differ_in_their_numbers_are_one_cause() -> None:
    killed = [
        result(i, status=Status.OUT_OF_MEMORY, error=f"the workers use {i}.5 GiB; allowed are 20.0 GiB\n  at 0xf{i}")
        for i in (3, 5)
    ]
    found = failure_causes.grouped([result(0, rates=(10,)), result(1), *killed, result(6, status=Status.TIMEOUT)])
    assert [(one.status, one.trials) for one in found] == [
        (Status.OUT_OF_MEMORY, (3, 5)),
        (Status.CRASHED, (1,)),
        (Status.TIMEOUT, (6,)),
    ]
    assert found[0].error == "the workers use 3.5 GiB; allowed are 20.0 GiB at 0xf3"
    assert found[0].example is killed[0]


def test_nothing_failed() -> None:
    assert failure_causes.grouped([result(0, rates=(10,)), result(1, rates=(9,), status=Status.REJECTED)]) == []


def test_a_failure_without_words_is_a_cause_too() -> None:
    (found,) = failure_causes.grouped([result(0, error=None)])
    assert (found.error, found.trials) == ("", (0,))
