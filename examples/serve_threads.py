"""A web server with a pool of threads, of the standard library alone: POST an array as .npy, get the outputs as .npz.

    python -m autotune run studies/mine/best.json -- python examples/serve_threads.py studies/mine/best.json 8000

One loaded model serves all threads. For several workers (`2x1` …) `run` starts the program several times: give each
its own port (AUTOTUNE_RANK), or put them behind a balancer.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any

import numpy as np

import autotune
from autotune.core.errors import ModelError

THREADS = 8


class Server(ThreadingMixIn, HTTPServer):
    """Each connection is answered by a thread of the pool; more of them wait for one."""

    def __init__(self, address: tuple[str, int], model: Callable[[Any], Any], threads: int = THREADS) -> None:
        super().__init__(address, Handler)
        self.model = model
        self.pool = ThreadPoolExecutor(threads)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.pool.submit(self.process_request_thread, request, client_address)

    def server_close(self) -> None:
        super().server_close()
        self.pool.shutdown()


class Handler(BaseHTTPRequestHandler):
    """POST alone; a batch that does not fit is the client's mistake."""

    server: Server

    def do_POST(self) -> None:
        body = io.BytesIO(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = self.server.model(np.load(body, allow_pickle=False))
        except (ModelError, ValueError) as error:
            self.reply(400, str(error).encode())
            return
        if not isinstance(answer, dict):
            several = answer if isinstance(answer, tuple) else (answer,)
            answer = {f"output_{place}": array for place, array in enumerate(several)}
        outputs = io.BytesIO()
        np.savez(outputs, allow_pickle=False, **answer)
        self.reply(200, outputs.getvalue())

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a line a request costs more than a small model."""


def main() -> None:
    path, port = sys.argv[1], int(sys.argv[2]) + int(os.environ.get("AUTOTUNE_RANK", "0"))
    with autotune.load(path) as model, Server(("127.0.0.1", port), model) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
