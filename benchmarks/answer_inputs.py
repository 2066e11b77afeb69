"""Inputs for the tasks of `answer_tasks.py`: sentences, rendered text, files of many kinds."""

from __future__ import annotations

import itertools
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

THINGS = (
    "my bank account", "the washing machine", "a used bicycle", "a birthday cake", "the train to Paris",
    "the neighbour's dog",
)  # fmt: skip
MEANINGS = (
    ("How much does {} cost?", "What is the price of {}?"),
    ("Where can I find help with {}?", "Who is able to assist me about {}?"),
    ("I am very happy with {}.", "{} pleases me a lot."),
    ("{} has been broken since Monday.", "For days {} has not been working any more."),
    ("Tell me the history of {}.", "What is the story behind {}?"),
    ("I want to sell {} as soon as possible.", "Looking for somebody who buys {} quickly."),
    ("Is it safe to leave {} alone over night?", "Can {} stay without anybody watching until morning?"),
    ("Please send me a picture of {}.", "Could you mail a photo of {} to me?"),
    ("My sister complained about {} again.", "Once more {} made my sister angry."),
    ("We forgot {} when we moved house.", "{} was left behind during our relocation."),
    ("Which colour suits {} best?", "What would be the ideal shade for {}?"),
    ("The police asked questions about {}.", "Officers wanted to know something about {}."),
    ("Cleaning {} takes me two hours.", "I need a long time until {} is clean."),
    ("Nobody told me that {} was so large.", "I had no idea about the size of {}."),
    ("The insurance does not pay for {}.", "{} is not covered by our policy."),
    ("Why is {} so important for children?", "What makes {} matter to young people?"),
    ("An expert explained {} on television.", "A specialist talked about {} in a broadcast."),
    ("I dreamed of {} last night.", "While sleeping I saw {} in a dream."),
    ("You should never lend {} to a stranger.", "Do not give {} to people whom you do not know."),
    ("The museum shows {} from 1950.", "An exhibition presents {} of the fifties."),
)
WORDS = (
    "account", "address", "amount", "balance", "bank", "bottle", "bridge", "butter", "camera", "cheese", "city",
    "client", "coffee", "contract", "copper", "country", "credit", "customer", "date", "delivery", "discount",
    "document", "dollar", "drawing", "engine", "evening", "export", "factory", "figure", "flight", "garden",
    "glass", "green", "harbour", "height", "hotel", "invoice", "island", "journey", "kitchen", "labour", "letter",
    "light", "machine", "market", "material", "meeting", "message", "metal", "minute", "model", "morning",
    "mountain", "number", "office", "order", "package", "paper", "payment", "pepper", "picture", "plastic",
    "police", "price", "product", "project", "quality", "question", "receipt", "record", "report", "river",
    "sample", "school", "season", "service", "signal", "silver", "square", "station", "street", "student", "summer",
    "supply", "system", "table", "ticket", "total", "traffic", "travel", "vehicle", "village", "volume", "water",
    "weather", "window", "winter", "yellow", "zero",
)  # fmt: skip
FONTS = ("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif-Italic.ttf")


def sentences() -> tuple[list[str], list[str]]:
    """Sentences, and others that mean the same."""
    pairs = [
        tuple((form[0].upper() + form[1:] if form[0] != "{" else form).format(thing) for form in meaning)
        for meaning, thing in itertools.product(MEANINGS, THINGS)
    ]
    return [one for one, _ in pairs], [other for _, other in pairs]


def lines(count: int, seed: int = 0) -> tuple[Array, list[str]]:
    """Pictures of lines, float32 (count, 3, 48, 320) from −1 to 1 as PP-OCR's recogniser takes, and their texts."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    images, texts = np.empty((count, 3, 48, 320), np.float32), []
    for number in range(count):
        text = _text(rng, 3)
        paper, ink = rng.integers(150, 256, 3), rng.integers(0, 110, 3)
        size = int(rng.integers(18, 30))
        font = _font(rng, size)
        while font.getlength(text) > 305:
            size -= 1
            font = font.font_variant(size=size)
        picture = Image.new("RGB", (320, 48), tuple(map(int, paper)))
        place = (float(rng.uniform(3, 10)), float(rng.uniform(2, max(3, 44 - 1.25 * size))))
        ImageDraw.Draw(picture).text(place, text, tuple(map(int, ink)), font)
        images[number] = _pixels(picture, rng) / 127.5 - 1
        texts.append(text)
    return images, texts


def pages(count: int, seed: int = 0, size: int = 256) -> tuple[Array, Array]:
    """Pictures of pages, normalised as PP-OCR's detector takes them, and true where they have text."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    images, found = np.empty((count, 3, size, size), np.float32), np.zeros((count, size, size), bool)
    mean, deviation = (np.array(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for number in range(count):
        picture = Image.new("RGB", (size, size), tuple(map(int, rng.integers(150, 256, 3))))
        draw = ImageDraw.Draw(picture)
        top = float(rng.uniform(5, 30))
        while top < size - 35:
            height = int(rng.integers(12, 26))
            font, text, left = _font(rng, height), _text(rng, 2), float(rng.uniform(4, 90))
            draw.text((left, top), text, tuple(map(int, rng.integers(0, 110, 3))), font)
            x0, y0, x1, y1 = draw.textbbox((left, top), text, font)
            shrunk = 0.2 * (y1 - y0)  # the detector is trained on boxes that are shrunk
            found[number, int(y0 + shrunk) : int(y1 - shrunk), int(x0 + shrunk) : int(min(x1, size) - shrunk)] = True
            top += height * float(rng.uniform(1.6, 3))
        images[number] = (_pixels(picture, rng) / 255 - mean) / deviation
    return images, found


def files(packages: Path, most: int = 30) -> tuple[Array, list[str]]:
    """What Magika sees of files of the Python installation and of the packages, and the suffixes of those files."""
    rng = np.random.default_rng(0)
    by_suffix: dict[str, list[Path]] = {}
    for folder in (packages, Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))):
        for file in sorted(folder.rglob("*.*")):
            if file.is_file() and file.stat().st_size > 64:
                by_suffix.setdefault(file.suffix, []).append(file)
    rows, suffixes = [], []
    for suffix, found in sorted(by_suffix.items()):
        if len(found) < 8:
            continue
        for file in rng.permutation(np.array(found, object))[:most]:
            rows.append(_seen(file))
            suffixes.append(suffix)
    order = rng.permutation(len(rows))
    return np.array(rows, np.int32)[order], [suffixes[place] for place in order]


def _seen(file: Path) -> list[int]:
    """The first and the last 1024 bytes, without white space outside, filled up with 256."""
    content = file.read_bytes()
    first, last = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
    return [*first, *[256] * (1024 - len(first)), *[256] * (1024 - len(last)), *last]


def _text(rng: np.random.Generator, most: int) -> str:
    parts = [str(rng.choice(WORDS)) for _ in range(int(rng.integers(1, most + 1)))]
    if rng.random() < 0.5:
        parts.append(f"{rng.integers(0, 10000)}")
    if rng.random() < 0.5:
        parts[0] = parts[0].capitalize()
    return " ".join(parts)


def _font(rng: np.random.Generator, size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(str(rng.choice(FONTS)), size)


def _pixels(picture: Any, rng: np.random.Generator) -> Array:
    """Blue, green, red, blurred and noisy, (3, height, width) from 0 to 255."""
    from PIL import ImageFilter

    blurred = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.0))))
    pixels = np.asarray(blurred, np.float32)[:, :, ::-1].transpose(2, 0, 1)
    return np.asarray(np.clip(pixels + rng.normal(0, rng.uniform(0, 12), pixels.shape), 0, 255))
