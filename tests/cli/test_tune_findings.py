from __future__ import annotations

from autotune.core.executor import Checked
from autotune.core.finding import Finding
from autotune.study.storage import store
from tests.tune_harness import TuneHarness


def test_what_the_check_of_the_model_found_is_said_first_and_kept(harness: TuneHarness) -> None:
    said = Finding(what="memory grows by 1.0 MiB a call", where="net.py, line 3", instead="empty the list")
    harness.found = Checked(findings=(said,))
    _, text = harness.tune()
    line = "model     memory grows by 1.0 MiB a call (net.py, line 3); empty the list\n"
    assert text.index(line) < text.index("torch_eager")
    assert text.index("trials    ") < text.rindex(line)
    assert store.findings(harness.study) == (said,)
