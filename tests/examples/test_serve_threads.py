from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from examples.serve_threads import Server

Array = np.ndarray[Any, Any]


def doubled(batch: Array) -> Any:
    """A model that takes rows of four, needs a moment, and names its outputs where there are several."""
    if batch.shape[1] != 4:
        raise ModelError(f"input 0 has size {batch.shape[1]} in dimension 1; the model was prepared for 4")
    time.sleep(0.001)
    return {"twice": 2 * batch, "first": batch[:, 0]} if len(batch) > 1 else 2 * batch


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """That of a running server."""
    with Server(("127.0.0.1", 0), doubled) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def posted(port: int, body: bytes) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def file(array: Array) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def answered(port: int, array: Array) -> dict[str, Array]:
    status, body = posted(port, file(array))
    assert status == 200, body
    with np.load(io.BytesIO(body)) as found:
        return dict(found)


def test_each_client_gets_its_own_answer(port: int) -> None:
    batches = [np.full((1, 4), number, np.float32) for number in range(64)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda batch: answered(port, batch), batches))
    assert [answer["output_0"].tolist() for answer in answers] == [(2 * batch).tolist() for batch in batches]


def test_several_outputs_have_their_names(port: int) -> None:
    assert list(answered(port, np.ones((3, 4), np.float32))) == ["twice", "first"]


@pytest.mark.parametrize("body", [file(np.ones((1, 5))), b"no array", file(np.array([{}]))])
def test_what_is_no_batch_is_the_clients_mistake(port: int, body: bytes) -> None:
    status, said = posted(port, body)
    assert status == 400 and said
