"""The contracts of plugins: what a module offers, and what it is handed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.rows import Axes
from autotune.core.struct import Value
from autotune.core.workload_spec import InputSpec, WorkloadSpec

if TYPE_CHECKING:
    import numpy as np


Form = Literal["module", "onnx", "command"]
"""The form of a workload: a torch module, an ONNX file, or any program."""


class Workload(Protocol):
    """A workload in a child process, as backends see it."""

    spec: WorkloadSpec

    @property
    def form(self) -> Form:
        """The form that the provider gives."""

    def module(self) -> Any:
        """The model as a torch module in eval mode; only where the provider's form is `module`."""

    def file(self) -> Path:
        """The model's own file; only where the provider's form is `onnx`."""

    @property
    def described(self) -> tuple[InputSpec, ...]:
        """The inputs that the space file describes; none where they come from elsewhere."""

    @property
    def batch_axes(self) -> Axes:
        """The batch dimension of each input; None for one that is the same for every batch."""

    def arrays(self, batch_size: int) -> tuple[np.ndarray[Any, Any], ...]:
        """The inputs: row i is the same for every batch size."""

    def calibration(self, least: int) -> tuple[np.ndarray[Any, Any], ...]:
        """The inputs to calibrate quantisation on, at least so many rows: others than those of `arrays`."""


class Call(NamedTuple):
    """A call that ran between two instants (ns of CLOCK_MONOTONIC) and did so many batches in that time.

    `latencies_ns` are those of the requests in it, where they are not its own length.
    """

    begin: int
    end: int
    batches: float = 1.0
    latencies_ns: tuple[int, ...] | None = None


class Port(NamedTuple):
    """An input that a model was prepared for: its name, its numpy type and its sizes; None is what may be anything."""

    name: str | None
    dtype: str | None
    shape: tuple[int | None, ...] | None


class Session(Protocol):
    """A loaded model in the measured process, exactly as production would run it.

    It may offer `stream(batch, stop_ns) -> (calls, cpu_ns)`: call until the instant with as many calls at once as it
    has in flight, and say which calls that were and what CPU time (ns) child processes took for them. Without it, one
    call follows the other. And it may offer `flags() -> tuple[str, ...]`: asked after the last block, what a reader of
    the figures should know, such as a recompilation in a block; `programs_rss_bytes() -> int`: the peak memory of
    programs that it runs; and `compiles`: true where the first call compiles, so that it takes longer than the others.

    For those who load a result it may offer `inputs() -> tuple[Port, ...] | None`, all that it was prepared for, where
    it takes nothing else; `output_names`, where the model's own file names its outputs; and `concurrent`: true where
    several threads may call it at once, each of which then reads its own outputs.
    """

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """Inputs in the runtime's own form, made once outside the measured calls."""

    def __call__(self, batch: Any) -> Any:
        """Run the model."""

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """A call's outputs as arrays."""

    def close(self) -> None:
        """Release the runtime."""


class Knob(Protocol):
    """A module in `knobs/`: a setting of the process.

    `without_effect` is the reason why a value changes nothing in a configuration whose backend uses these packages.
    Where `changes_answers` is true, accuracy is found for each value by itself; it is false where it is not given.
    `domain` is what `auto` stands for here. A knob of which `Value` does not list the values may list in `candidates`
    those that `auto` chooses from, so that the reasons against the others can be told.
    """

    Value: Any

    def default(self, hw: Hardware) -> Value: ...
    def domain(self, hw: Hardware) -> tuple[Value, ...]: ...
    def unavailable(self, value: Any, hw: Hardware) -> str | None: ...
    def without_effect(self, value: Any, config: Config, packages: tuple[str, ...]) -> str | None: ...
    def launch(self, value: Any, hw: Hardware) -> LaunchPatch: ...
    def applied(self, value: Any, hw: Hardware) -> str | None: ...


class Backend(Protocol):
    """A module in `backends/`: what runs the model. `source` names the backend and options it is made from.

    `packages` are what it runs with; `optional`, where it is given, others that it may need, such as to make a model.
    `runs` are the forms of model that it takes. Of the options only what `cache_key` returns decides whether an
    artifact can be shared; None is nothing to prepare. It may offer `domains(hw)`: what `auto` stands for, by option,
    where that is not every available value. Where `free` is true, the space file invents the options' names.
    `without_effect(options, config)` may say why an option changes nothing in a configuration, which is then not run.
    `same_answers`, where it is given, are the options that change no answers, only how they are computed.
    `calibrated(options)`, where it is given, says whether the model is quantised on the workload's inputs.
    """

    Options: Any
    packages: tuple[str, ...]
    runs: tuple[Form, ...]

    def unavailable(self, options: Any, hw: Hardware) -> str | None: ...
    def launch(self, options: Any, config: Config, hw: Hardware) -> LaunchPatch: ...
    def source(self, options: Any) -> tuple[str, dict[str, Value]] | None: ...
    def cache_key(self, options: Any, config: Config, hw: Hardware) -> tuple[Any, ...] | None: ...
    def prepare(
        self, workload: Workload, options: Any, config: Config, hw: Hardware, folder: Path, source: Path | None
    ) -> None: ...
    def load(self, workload: Workload, options: Any, config: Config, folder: Path | None) -> Session: ...
    def applied(self, session: Any, options: Any, config: Config) -> str | None: ...


class Provider(Protocol):
    """A module in `workloads/`: where models come from.

    `form` is what it gives, `plain` the backend of the untuned model. It may offer

    - `optional`: packages that it may need beside `packages`;
    - `paths`: the options that name files or folders, relative to the space file;
    - `resolve(name, folder) -> str`: the model's name made independent of the space file's folder;
    - `examples(name, options, seed, samples) -> arrays`: inputs that only a framework can make, asked for in a
      preparing child where the space file names none;
    - `real_examples`: true where these are the user's own rows, and not made up;
    - `images(name, options, files)`, `texts(name, options, lines)`: the inputs that the model's own transform or
      tokenizer makes of them, and `input_names(name, options)`: the names of the inputs in their order, each with
      whether it must be given (of a module without it, the arguments of `forward`); asked for in a preparing child;
    - `file(name)`: the model's own file, for the form `onnx`;
    - `batch_axes(name, options)`: the batch dimension of each of its examples, where it knows them;
    - `fixed_batch(name, options, inputs)`: the only batch size that the model takes, None where it takes any; `inputs`
      are those that the space file describes;
    - `classifies(name, options)`: whether rows of numbers that the model returns are scores of classes; asked for in a
      preparing child.
    """

    Options: Any
    packages: tuple[str, ...]
    form: Form
    plain: str

    def unavailable(self, options: Any, hw: Hardware) -> str | None: ...
    def cache_key(self, name: str, options: Any) -> tuple[Any, ...]: ...
    def judged(self, name: str, options: Any) -> bool: ...
    def build(self, name: str, options: Any, seed: int) -> Any: ...
