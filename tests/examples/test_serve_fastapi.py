from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError

pytest.importorskip("fastapi")
testclient = pytest.importorskip("fastapi.testclient", reason="needs httpx")


def doubled(batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if batch.ndim != 2:
        raise ModelError(f"input 0 has {batch.ndim} dimensions; the model was prepared for 2")
    return 2 * batch


def test_rows_are_answered_from_all_threads() -> None:
    from examples.serve_fastapi import serving

    client = testclient.TestClient(serving(doubled))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: client.post("/predict", json={"rows": [[n, n]]}).json(), range(64)))
    assert found == [{"output": [[2.0 * n, 2.0 * n]]} for n in range(64)]


@pytest.mark.parametrize(("rows", "message"), [([1], "input 0 has 1 dimensions"), ([[1], [1, 2]], "inhomogeneous")])
def test_what_is_no_batch_is_the_clients_mistake(rows: list[Any], message: str) -> None:
    from examples.serve_fastapi import serving

    found = testclient.TestClient(serving(doubled)).post("/predict", json={"rows": rows})
    assert found.status_code == 400 and message in found.json()["detail"]
