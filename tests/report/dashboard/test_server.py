from __future__ import annotations

import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from autotune.core.errors import AutotuneError
from autotune.report.dashboard import server
from tests.report.dashboard.samples import served
from tests.report.folders import full, keep
from tests.report.made import PLAIN, result


def test_it_serves_a_study_until_it_is_interrupted_even_while_a_page_is_open(tmp_path: Path) -> None:
    study = full(tmp_path)
    with served(study.folder) as (process, address):
        host, port = address.split("/")[2].split(":")
        assert host == "127.0.0.1"
        with urllib.request.urlopen(address) as page:
            assert b"Optuna Dashboard" in page.read()
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as asking:
            asking.sendall(b"GET /api/studies/0?after=0 HTTP/1.1\r\n")
            request = urllib.request.Request(f"http://{host}:{port}/api/studies/0", method="DELETE")
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(request)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=10)
    assert said.rstrip().endswith("KeyboardInterrupt"), "what the command line turns into 130"


def test_a_port_in_use_is_named_with_what_to_do(tmp_path: Path) -> None:
    keep(tmp_path, [result(0, PLAIN, (10,))])
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            AutotuneError, match=rf"cannot listen on port {port} of 127\.0\.0\.1: .*--port 8081"
        ) as caught:
            server.serve(tmp_path, print, port=port)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("127.0.0.1", 65536, "allowed: 0 to 65535"),
        ("no.such.host.invalid", 0, "--host 127.0.0.1"),
        ("192.0.2.1", 0, "--host 127.0.0.1"),
    ],
)
def test_an_address_that_cannot_be_had(tmp_path: Path, host: str, port: int, said: str) -> None:
    with pytest.raises(AutotuneError, match=said) as caught:
        server.serve(tmp_path, print, host, port)
    assert "\n" not in str(caught.value)
