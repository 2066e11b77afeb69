"""Why torch's exporters and tracers cannot take a model, in one line with the place in the model's code."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from pathlib import Path

Frame = tuple[str, int, str]
"""A file, a line's number, and that line."""

FRAME = re.compile(r'File "(.+?)", line (\d+), in .*\n\s*(.*)')


def reason(error: BaseException) -> str:
    """The deepest cause in one line, after the operator or else the line of the model's code that it came from.

    torch's tracer has the frames of the model in its message, and none of them in the traceback.
    """
    where = ""
    frames: list[Frame] = []
    while True:
        if found := re.search(r"call_function\[target=([\w.]+)\]", str(error)):
            where = found[1]
        told = FRAME.findall(str(error).partition("from user code:")[2])
        frames = _of_the_model((file, int(number), line) for file, number, line in told) or frames
        if error.__cause__ is None:
            break
        error = error.__cause__
    if not where:
        raised = traceback.extract_tb(error.__traceback__)
        frames = frames or _of_the_model((frame.filename, frame.lineno or 0, frame.line or "") for frame in raised)
        where = "{}, line {}, `{}`".format(*frames[-1]) if frames else ""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{where}: {type(error).__name__}: {first}" if where else f"{type(error).__name__}: {first}"


def _of_the_model(frames: Iterable[Frame]) -> list[Frame]:
    """Those that are neither torch's nor ours, with the bare names of their files."""
    import torch

    others = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]), "<")
    return [(Path(file).name, number, line) for file, number, line in frames if not file.startswith(others)]
