"""Shared by several test files: this machine, short rules, and a copy of the package with plugins made for tests."""

from __future__ import annotations

import compileall
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import psutil
import pytest

import autotune
from autotune.core.config import Config, Placement, WorkloadSettings
from autotune.core.machine import Hardware
from autotune.core.protocol import Job
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.struct import Value
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe as hardware
from autotune.launch import worker_pool
from autotune.launch.launch_plan import LaunchPlan, WorkerPlan
from autotune.launch.worker_pool import Workers
from tests.extra.execute import Ask, Listener, Told

EXTRA = Path(__file__).parent / "extra"
os.environ["AUTOTUNE_ENVIRONMENTS"] = str(EXTRA / "no-environments")  # no test sees the user's own
for ignored in (signal.SIGINT, signal.SIGHUP):  # as a shell, or nohup, starts what is to run in the background
    if signal.getsignal(ignored) is signal.SIG_IGN:  # the programs under test would ignore it, too
        signal.signal(ignored, signal.default_int_handler)
# The same examples each time: none fails by chance. `--hypothesis-profile default` draws others.
hypothesis.settings.register_profile("any machine", deadline=None, derandomize=True)
hypothesis.settings.load_profile("any machine")
TINY = WorkloadSpec(model="tiny:conv", inputs=(InputSpec(shape=("batch", 3, 16, 16)),))
QUICK = MeasureRules(block_s=0.05, measure_s=0.2, warmup_s=0.5, min_blocks=2, canary_s=0.01, disturbed_repeats=0)
"""Rules under which a trial takes a fraction of a second, with limits that a loaded machine keeps.

No block is repeated because of other programs: beside another test worker nearly each one would be.
"""


LONGEST = (
    "test_main.py",
    "test_torch_int8.py",
    "test_every_setting.py",
    "test_main_interrupted.py",
    "test_optimize.py",
    "test_torch_aot.py",
    "test_torch_compile.py",
    "test_load_model.py",
    "test_answers.py",
    "test_affinity.py",
    "test_verify.py",
    "test_trial.py",
    "test_interleaved.py",
    "test_local_executor.py",
    "test_command.py",
    "test__traced.py",
    "test_loading.py",
    "test_load_threads.py",
    "test_load_sizes.py",
    "test_prepare.py",
    "test_server_browser.py",
)
"""The test files that take longest, which begin first, so that two workers end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session", autouse=True)
def own_lock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test waits for a study that runs on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_LOCK", str(tmp_path_factory.mktemp("lock") / "measuring.lock"))
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of this run, the same for all xdist workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def inductor(shared: Path) -> Path:
    """The folder of compiled kernels and precompiled headers, the one that trials in the lab use too."""
    folder = shared / "cache" / "inductor"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def this_machine() -> Hardware:
    return hardware.probe()


@pytest.fixture(scope="session")
def quick() -> MeasureRules:
    return QUICK


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for simulated runs; nothing depends on their reaching the disk."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    return tmp_path


@pytest.fixture
def listener() -> Listener:
    """An observer that keeps what it is told."""
    return Listener()


@dataclass(frozen=True)
class ExtendedPackage:
    """A copy of the package that also holds the plugins in `extra`, and a cache for the whole run."""

    package: Path
    cache: Path
    hardware: Hardware
    rules: MeasureRules

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.package),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AUTOTUNE_LOCK": str(self.package / "measuring.lock"),
        }

    def spec(
        self,
        backend: str,
        options: dict[str, Value],
        *,
        trial: int = 1,
        batch_size: int = 2,
        workload: WorkloadSpec = TINY,
        **knobs: Value,
    ) -> TrialSpec:
        """One worker on one thread unless `layout` is given."""
        config = Config(
            workload=WorkloadSettings(batch_size=batch_size),
            backend=backend,
            options=options,
            knobs={"layout": "1x1", **knobs},
        )
        return TrialSpec(id=trial, workload=workload, config=config, folder=f"trials/{trial:05}")

    def execute(
        self,
        root: Path,
        specs: Sequence[TrialSpec],
        rules: MeasureRules | None = None,
        *,
        incumbent: float | None = None,
        cache: Path | None = None,
    ) -> Told:
        """Run trials one after the other in a coordinator of their own."""
        return self.run(root, [(spec, rules or self.rules, incumbent) for spec in specs], cache)

    def interleave(self, root: Path, spec: InterleavedSpec, rules: MeasureRules | None = None) -> Told:
        """One interleaved run in a coordinator of its own."""
        return self.run(root, [], runs=[(spec, rules or self.rules)])

    def run(
        self,
        root: Path,
        trials: list[tuple[TrialSpec, MeasureRules, float | None]],
        cache: Path | None = None,
        **more: Any,
    ) -> Told:
        ask = Ask(hardware=self.hardware, root=str(root), cache=str(cache or self.cache), trials=trials, **more)
        done = subprocess.run(
            [sys.executable, EXTRA / "execute.py"],
            input=msgspec.json.encode(ask),
            capture_output=True,
            env=self.environ,
            cwd=self.package,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return msgspec.json.decode(done.stdout, type=Told)

    @contextlib.contextmanager
    def worker(self, job: Job, folder: Path) -> Iterator[Workers]:
        """The real worker program on a job, driven by this very process."""
        folder.mkdir(exist_ok=True)
        (folder / "job.json").write_bytes(msgspec.json.encode(job))
        entry = WorkerPlan(
            argv=(sys.executable, "-m", "autotune.worker"), env=self.environ, placement=Placement(cpus=(), threads=1)
        )
        with worker_pool.start(LaunchPlan(workers=(entry,)), folder / "job.json", folder, 2**40) as workers:
            yield workers


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory, shared: Path, this_machine: Hardware, quick: MeasureRules
) -> ExtendedPackage:
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(Path(autotune.__file__).parent, folder / "autotune", ignore=shutil.ignore_patterns("__pycache__"))
    for extra in EXTRA.glob("*/*.py"):
        shutil.copy(extra, folder / "autotune" / extra.relative_to(EXTRA))
    compileall.compile_dir(folder / "autotune", quiet=2)
    return ExtendedPackage(package=folder, cache=shared / "cache", hardware=this_machine, rules=quick)


def ended(pid: int, within_s: float = 5.0) -> bool:
    """True if a process ends in time; one that nobody waits for (a zombie) has ended."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        process.wait(within_s)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    return True
