"""Compiled OpenVINO models in use: an infer request for each thread, or a queue of them."""

from __future__ import annotations

import functools
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autotune.backends import _ir
from autotune.core.interfaces import Call, Port

if TYPE_CHECKING:
    import numpy as np

OVERLAP_S = 10.0
RELEASE_NS = 5 * 10**9

clock = time.monotonic_ns


class OpenvinoSession:
    """A compiled model with an infer request for each thread that calls it."""

    concurrent = True

    def __init__(self, compiled: Any, hint: str, places: Sequence[int]) -> None:
        self.compiled = compiled
        self._hint = hint
        self._places = places
        self._of_thread = threading.local()

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """The inputs in the model's own order."""
        return [arrays[place] for place in self._places]

    def __call__(self, batch: Any) -> Any:
        """Run the model; the outputs are views that the next call of this thread overwrites."""
        try:
            request = self._of_thread.request
        except AttributeError:
            request = self._of_thread.request = self.compiled.create_infer_request()
        return request.infer(batch, share_inputs=True, share_outputs=True)

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """All outputs in the model's order, copied."""
        return tuple(result[port].copy() for port in self.compiled.outputs)

    def inputs(self) -> tuple[Port, ...]:
        """The compiled model's inputs, in the workload's order."""
        own = [_ir.port(one) for one in self.compiled.inputs]
        return tuple(own[self._places.index(place)] for place in range(len(own)))

    def flags(self) -> tuple[str, ...]:
        """The value that OpenVINO chose by a hint."""
        if self._hint == "none":
            return ()
        names = ("NUM_STREAMS", "OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        streams, advised = map(self.compiled.get_property, names)
        return (f"openvino_hint: {streams} streams, {advised} requests advised",)

    def close(self) -> None:
        """Release the model."""
        del self._of_thread, self.compiled


class QueuedSession(OpenvinoSession):
    """A compiled model with a queue of infer requests, as many as asked for or (0) as OpenVINO advises."""

    def __init__(self, compiled: Any, hint: str, places: Sequence[int], requests: int) -> None:
        import openvino

        def completed(request: Any, told: Callable[[Any], None]) -> None:
            told(request)

        super().__init__(compiled, hint, places)
        self._queue = openvino.AsyncInferQueue(compiled, requests)
        self._queue.set_callback(completed)
        self._callback = weakref.ref(completed)
        self._batch: Any = None

    @property
    def requests(self) -> int:
        """The number of calls that can be in flight."""
        return len(self._queue)

    def __call__(self, batch: Any) -> Any:
        """One call beside the queue, as without one."""
        self._batch = batch
        return super().__call__(batch)

    def stream(self, batch: Any, stop_ns: int) -> tuple[list[Call], int]:
        """Submit whenever a request is free until the instant; each call lasts from submission to completion."""
        calls: list[Call] = []

        def completed(begin: int, request: Any) -> None:
            calls.append(Call(begin, clock()))

        while self._queue.get_idle_request_id() >= 0 and (begin := clock()) < stop_ns:
            self._queue.start_async(batch, functools.partial(completed, begin), share_inputs=True)
        self._queue.wait_all()
        return calls, 0

    def overlap(self) -> bool:
        """True if all requests can be in flight at once: submitted before any of them completes."""
        submitted, late = threading.Event(), []

        def completed(request: Any) -> None:
            if not submitted.wait(OVERLAP_S):
                late.append(request)

        for _ in range(self.requests):
            self._queue.start_async(self._batch, completed, share_inputs=True)
        submitted.set()
        self._queue.wait_all()
        return not late

    def close(self) -> None:
        """Release the model, once OpenVINO's threads have let go of the callback.

        They need the interpreter's lock for it, which freeing the model holds while it waits for them to end.
        """
        del self._queue, self._of_thread
        until = clock() + RELEASE_NS
        while self._callback() is not None and clock() < until:
            time.sleep(0.001)
        del self.compiled
