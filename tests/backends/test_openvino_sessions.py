from __future__ import annotations

import re
from typing import Any

import pytest

from tests.backends import child

START = """
import openvino
from openvino import opset13
from autotune.backends import openvino as backend

def save(rows, size, layers):
    given = opset13.parameter([rows, size], np.float32)
    last = given
    for _ in range(layers):
        last = opset13.matmul(last, 2 * np.eye(size, dtype=np.float32), False, False)
    openvino.save_model(openvino.Model([last], [given], "double"), folder / backend.MODEL, compress_to_fp16=False)

def load(threads=1, batch_size=2, **options):
    config = configured("openvino", threads, batch_size, **options)
    return backend.load(UNDESCRIBED, backend.Options(**options), config, folder)

def reason(session, threads=1, **options):
    return backend.applied(session, backend.Options(**options), configured("openvino", threads, **options))

def answers(session, rows, size):
    return session.outputs(session(session.convert((np.full((rows, size), rows, np.float32),))))[0]
"""

CHILD = (
    START
    + """
save(-1, 4, 1)
session = load()
told["float32"], told["int8"], told["bfloat16"] = reason(session), *(
    reason(session, precision=precision) for precision in ("int8", "bfloat16")
)
told["streams"] = hasattr(session, "stream")
told["kept"] = [answers(session, rows, 4).tolist() for rows in (1, 3, 2)]
names = ("PERFORMANCE_HINT", "NUM_STREAMS", "ENABLE_CPU_PINNING", "INFERENCE_NUM_THREADS")
told["plain"] = {name: session.compiled.get_property(name) for name in names}
session.close()

cores = len(os.sched_getaffinity(0))
told["cores"] = cores
changed = [{"hint": "latency"}, {"hint": "throughput"}, {"pinning": True}, {"streams": 2}, {"streams": cores}]
changed += [{"requests": 2}, {"requests": 5, "streams": 2}, {"requests": 0, "hint": "throughput"}]
changed += [{"requests": 0, "hint": "latency"}]
told["options"] = []
for asked in changed:
    for threads in {1, cores}:
        session, plain = load(threads, **asked), load(threads)
        kept = [answers(session, rows, 4).tolist() for rows in (1, 3, 2)]
        proofs = [reason(session, threads, **asked)]
        if "requests" not in asked:
            proofs.append(reason(plain, threads, **asked))
        told["options"].append([asked, threads, *proofs, kept == told["kept"]])
        told.setdefault("flags", {})[asked.get("hint", "none")] = session.flags()
        session.close(), plain.close()

save(3, 4, 1)
session = load(batch_size=3)
told["fixed"] = answers(session, 3, 4).shape[0]
try:
    load(batch_size=2)
except Exception as error:
    told["another batch"] = f"{type(error).__name__}: {error}"
"""
)

STREAM = (
    START
    + """
import time
save(-1, 512, 8)
batch = None
for requests in (1, 3, 0):
    options = {"requests": requests} | ({} if requests else {"hint": "throughput"})
    session = load(len(os.sched_getaffinity(0)), **options)
    batch = session.convert((np.ones((64, 512), np.float32),))
    told[f"{requests} before"] = len(session.outputs(session(batch)))
    if requests == 1:
        session.close()
        continue
    begin = time.monotonic_ns()
    stop = begin + 300_000_000
    calls, others = session.stream(batch, stop)
    told[str(requests)] = {
        "begin": begin, "stop": stop, "end": time.monotonic_ns(), "others": others, "size": session.requests,
        "advised": session.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"),
        "calls": [list(call[:3]) for call in calls],
        "late": session.stream(batch, time.monotonic_ns() - 1)[0],
        "after": session.outputs(session(batch))[0][0, 0].item(),
    }
    session.close()

class Lonely(backend.QueuedSession):
    requests = 2

backend.OVERLAP_S = 0.2
session = Lonely(load().compiled, "none", ["0"], 1)
session(batch)
told["one request of two"] = session.overlap()
session.close()
"""
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("openvino"), "openvino")


def test_a_compiled_model_is_proven_and_its_outputs_outlive_the_next_call(told: dict[str, Any]) -> None:
    assert told["float32"] is None
    assert "no operation of the compiled model runs in int8" in told["int8"]
    assert "no operation of the compiled model runs in bfloat16" in told["bfloat16"]
    assert told["kept"] == [[[2.0 * rows] * 4] * rows for rows in (1, 3, 2)]
    assert told["streams"] is False
    assert (told["plain"]["NUM_STREAMS"], told["plain"]["ENABLE_CPU_PINNING"]) == (1, False)


def test_every_option_is_proven_and_changes_no_answer(told: dict[str, Any]) -> None:
    assert len(told["options"]) == 9 * len({1, told["cores"]})
    for asked, threads, *proofs, same in told["options"]:
        assert proofs[0] is None and same, asked
        changes = asked != {"hint": "latency"} and ("streams" not in asked or threads > 1)
        if len(proofs) == 2 and changes:
            assert proofs[1] is not None and "\n" not in proofs[1], asked


def test_what_a_hint_chose_is_told(told: dict[str, Any]) -> None:
    assert told["flags"]["none"] == []
    for hint in ("latency", "throughput"):
        assert re.fullmatch(r"openvino_hint: \d+ streams, \d+ requests advised", *told["flags"][hint])


def test_a_fixed_batch_is_the_only_one(told: dict[str, Any]) -> None:
    assert told["fixed"] == 3
    assert told["another batch"] == (
        "ModelError: the batch dimension cannot vary: the model takes batches of 3, not of 2; "
        "use batch_size: [3] or export it with a dynamic batch"
    )


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(STREAM, tmp_path_factory.mktemp("stream"), "openvino")


@pytest.mark.parametrize("requests", ["3", "0"])
def test_calls_are_submitted_until_the_stop_and_all_end(streams: dict[str, Any], requests: str) -> None:
    found = streams[requests]
    assert found["size"] == (int(requests) or found["advised"])
    assert found["calls"] and found["others"] == 0 and found["late"] == []
    for begin, end, count in found["calls"]:
        assert found["begin"] <= begin < found["stop"] and begin < end <= found["end"] and count == 1.0
    assert found["after"] == 2.0**8


def test_requests_overlap_and_are_never_more_than_asked_for(streams: dict[str, Any]) -> None:
    found = streams["3"]["calls"]
    edges = sorted([(begin, 1) for begin, _, _ in found] + [(end, -1) for _, end, _ in found])
    in_flight, most = 0, 0
    for _, change in edges:
        in_flight += change
        most = max(most, in_flight)
    assert 2 <= most <= 3
    assert sum(end - begin for begin, end, _ in found) > max(e for _, e, _ in found) - min(b for b, _, _ in found)


def test_requests_that_cannot_overlap_are_found_out(streams: dict[str, Any]) -> None:
    assert streams["one request of two"] is False
