"""The lines of text of ocr.yaml, drawn with Pillow's own font; a line is right if all its characters are read."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MODEL = Path(__file__).parent.parent / "pretrained" / "PP-OCRv6" / "PP-OCRv6_rec_small.onnx"
HEIGHT, WIDTH = 48, 320
LINES, LONGEST = 256, 24
WORDS = re.findall(
    r"\S+",
    "invoice total amount date number street city paid order 2024 table train ticket gate price each tax net gross "
    "Monday Friday March April room floor open closed push pull exit north south water milk bread apple coffee green "
    "yellow window garden morning letter signed copy page next 15 48 103 7,50 99.90 +49 No. A4 kg",
)


def lines() -> tuple[np.ndarray, np.ndarray]:
    """Images of shape (LINES, 3, HEIGHT, WIDTH) from -1 to 1, and the characters of each as classes, -1 for none."""
    classes = {character: number for number, character in enumerate(characters(), 1)}
    rng = np.random.default_rng(0)
    images, labels = np.empty((LINES, 3, HEIGHT, WIDTH), np.float32), np.full((LINES, LONGEST), -1)
    for row in range(LINES):
        text = ""
        while len(longer := f"{text} {rng.choice(WORDS)}".strip()) <= LONGEST and len(text) < 12:
            text = longer
        images[row] = drawn(text, rng)
        labels[row, : len(text)] = [classes[character] for character in text]
    return images, labels


def read(outputs: tuple[np.ndarray, ...], labels: np.ndarray) -> np.ndarray:
    """1 for each line whose characters are all right, else 0: those of its steps, repeated ones and blanks left out."""
    steps = outputs[0].argmax(2)
    new = np.diff(steps, axis=1, prepend=-1) != 0
    return np.array(
        [
            np.array_equal(row[kept & (row > 0)], label[label >= 0])
            for row, kept, label in zip(steps, new, labels, strict=True)
        ]
    )


def characters() -> list[str]:
    """The characters that the model knows, by its own metadata; class 0 is a blank, the last one a space."""
    import onnx

    model = onnx.load(MODEL, load_external_data=False)
    stored = next(entry.value for entry in model.metadata_props if entry.key == "character")
    return [*stored.splitlines(), " "]


def drawn(text: str, rng: np.random.Generator) -> np.ndarray:
    """A line of text, dark on light or the reverse, in one of several sizes, a little out of place, with noise."""
    dark, light = sorted(rng.integers(0, 100, 2) + np.array([0, 150]))
    paper, ink = (light, dark) if rng.random() < 0.7 else (dark, light)
    image = Image.new("L", (WIDTH, HEIGHT), int(paper))
    font = ImageFont.load_default(int(rng.integers(20, 27)))
    place = int(rng.integers(2, 12)), int(rng.integers(4, 16))
    ImageDraw.Draw(image).text(place, text, int(ink), font)
    pixels = np.asarray(image, np.float32) + rng.normal(0, 6, (HEIGHT, WIDTH))
    return np.repeat((np.clip(pixels, 0, 255) / 127.5 - 1)[None].astype(np.float32), 3, 0)
