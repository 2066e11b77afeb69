"""Runs one spec on this machine: `python -m autotune.launch STUDY/trials/00003/spec.json`; `result.json` comes out.

The file holds a TrialSpec, or an InterleavedSpec. Its result is written to the spec's folder, whatever its status.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec

from autotune.core.errors import AutotuneError
from autotune.core.executor import Executor
from autotune.core.files import write_atomically
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.results import InterleavedRun, Sustained, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache

S = TypeVar("S")
Result = TrialResult | InterleavedRun | Sustained | None


def main() -> int:
    """Run the spec and print its outcome in a line; 0 if there is a result, 1 after a line that says why not.

    130 after Ctrl-C, 143 after SIGTERM; the workers are killed with all that they started.
    """
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        spec = _read_spec(given.spec)
        hardware = probe.probe() if given.hardware is None else _read(given.hardware, Hardware)
        rules = MeasureRules() if given.rules is None else _read(given.rules, MeasureRules)
        root = _root(given.spec, spec.folder)
        with LocalExecutor(hardware, root, given.cache or artifact_cache.default_folder(), Observer()) as executor:
            result = _run(executor, spec, rules, given)
        if result is not None:
            encoded = msgspec.json.format(msgspec.json.encode(result))
            write_atomically(root / spec.folder / "result.json", encoded)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except AutotuneError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.strerror}: {error.filename}")
    if result is None:
        return _fail("the time ended before the first round")
    sys.stdout.write(f"{_outcome(result)}; {root / spec.folder / 'result.json'}\n")
    return 0


def _terminate(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autotune.launch", description=__doc__)
    parser.add_argument("spec", type=Path, help="the spec.json of a trial or of an interleaved run")
    parser.add_argument("--hardware", type=Path, help="a hardware.json; by default this machine is probed")
    parser.add_argument("--rules", type=Path, help="a JSON file of measuring rules; by default those of a study")
    parser.add_argument("--cache", type=Path, help="where prepared models are kept; by default the user's cache")
    parser.add_argument("--incumbent", type=float, help="the best rate so far: a clearly slower trial is given up")
    parser.add_argument("--rate", type=float, help="serve so many requests a second instead of measuring blocks")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they are served (default: 60)")
    return parser


def _run(
    executor: Executor, spec: TrialSpec | InterleavedSpec, rules: MeasureRules, given: argparse.Namespace
) -> Result:
    if isinstance(spec, InterleavedSpec):
        return executor.interleave(spec, rules)
    if given.rate is not None and spec.workload.serving is None:
        raise AutotuneError(f"{given.spec} has no `serving` in its workload, which --rate needs")
    if given.rate is not None:
        return executor.sustain(spec, rules, given.rate, given.seconds)
    return executor.execute(spec, rules, given.incumbent)


def _outcome(result: TrialResult | InterleavedRun | Sustained) -> str:
    """The status of a result in a few words, in one line."""
    if isinstance(result, InterleavedRun):
        failed = [name for name, candidate in result.candidates.items() if candidate.error is not None]
        return f"{len(result.candidates)} candidates, failed: {', '.join(failed) or 'none'}"
    if isinstance(result, Sustained):
        kept = result.probe is not None and result.probe.kept
        return "the rate was kept" if kept else f"the rate was not kept{_reason(result.error)}"
    return f"{result.status}{_reason(result.error)}"


def _reason(error: str | None) -> str:
    return f": {' '.join(error.split())}" if error else ""


def _root(path: Path, folder: str) -> Path:
    """The folder that the spec's own is relative to: the study that the file lies in, else the file's folder."""
    own, parts = path.absolute().parent, Path(folder).parts
    return Path(*own.parts[: -len(parts)]) if parts and own.parts[-len(parts) :] == parts else own


def _read_spec(path: Path) -> TrialSpec | InterleavedSpec:
    fields = _read(path, dict)
    return _read(path, InterleavedSpec) if "configs" in fields else _read(path, TrialSpec)


def _read(path: Path, kind: type[S]) -> S:
    """The struct in a JSON file; AutotuneError where it holds something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise AutotuneError(f"{path} holds no {kind.__name__}: {error}") from error


def _fail(reason: str) -> int:
    sys.stderr.write(f"autotune: {' '.join(reason.split())}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
