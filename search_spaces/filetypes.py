"""Files of many types for filetypes.yaml, made here: the model says of which type a file is by its bytes alone."""

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import pickle
import re
import sqlite3
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

TEMPLATES = Path(__file__).with_suffix(".txt")
CONFIG = Path(__file__).parent.parent / "pretrained" / "magika" / "config.min.json"
EACH = 10
"""Files of each type."""

SIDE, BLOCK, PADDING = 1024, 4096, 256
"""So many bytes from the file's begin and from its end, of a block without the white space around it."""

WORDS = re.findall(
    r"\S+",
    "account address amount balance client count customer date delta driver engine entry error event factor field "
    "filter group handler image index item label level limit list machine message metric model number order owner "
    "parent path person price product query rate record report request result row sample score server session "
    "signal source state status step store stream table target task time token total user value vector version weight",
)

Draw = np.random.Generator


def files() -> tuple[np.ndarray, np.ndarray]:
    """Rows of 2 * SIDE bytes (int32) as the model takes them, and the numbers of their types."""
    labels = json.loads(CONFIG.read_text())["target_labels_space"]
    rng = np.random.default_rng(0)
    made = [(features(make(rng)), labels.index(name)) for name, make in MAKERS.items() for _ in range(EACH)]
    rows, numbers = zip(*made, strict=True)
    return np.stack(rows), np.array(numbers)


def features(content: bytes) -> np.ndarray:
    """The first and the last SIDE bytes, each padded to the outside by the number PADDING."""
    begin, end = content[:BLOCK].lstrip()[:SIDE], content[-BLOCK:].rstrip()[-SIDE:]
    row = np.full(2 * SIDE, PADDING, np.int32)
    row[: len(begin)] = np.frombuffer(begin, np.uint8)
    row[2 * SIDE - len(end) :] = np.frombuffer(end, np.uint8)
    return row


# ----------------------------------------------------------------------------------------------------- text


def templates() -> dict[str, dict[str, str]]:
    """By the name of a type, from filetypes.txt: the head, the piece that is repeated, and the foot of its files."""
    parts = re.findall(r"^@@ (\w+) (\w+)\n(.*?)(?=^@@|\Z)", TEMPLATES.read_text(), re.MULTILINE | re.DOTALL)
    made: dict[str, dict[str, str]] = {}
    for name, role, template in parts:
        made.setdefault(name, {})[role] = template
    return made


def text(piece: str, head: str = "", foot: str = "") -> Callable[[Draw], bytes]:
    """A maker of files of some pieces."""

    def make(rng: Draw) -> bytes:
        count = int(rng.integers(4, 20))
        return "".join([filled(head, rng), *(filled(piece, rng) for _ in range(count)), filled(foot, rng)]).encode()

    return make


def filled(template: str, rng: Draw) -> str:
    """The template with words for <a>, <b>, <c> and numbers for <n>, <m>."""
    for letter in "abc":
        template = template.replace(f"<{letter}>", str(rng.choice(WORDS)))
    for letter in "nm":
        template = template.replace(f"<{letter}>", str(rng.integers(1, 1000)))
    return template


def a_json(rng: Draw) -> bytes:
    rows = [{filled("<a>", rng): int(rng.integers(1000)), "text": filled("<b> <c>", rng)} for _ in range(12)]
    return json.dumps({filled("<a>", rng): rows}, indent=int(rng.integers(1, 5))).encode()


def a_csv(rng: Draw) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rng.choice(WORDS, 5))
    writer.writerows([i, filled("<a> <b>", rng), *rng.integers(0, 1000, 3)] for i in range(int(rng.integers(10, 60))))
    return out.getvalue().encode()


# --------------------------------------------------------------------------------------------------- binary


def picture(kind: str) -> Callable[[Draw], bytes]:
    """A maker of images of a size and colours that are drawn."""

    def make(rng: Draw) -> bytes:
        out = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        small.resize(tuple(map(int, rng.integers(32, 200, 2)))).save(out, kind)
        return out.getvalue()

    return make


def packed(pack: Callable[[bytes], bytes]) -> Callable[[Draw], bytes]:
    """A maker of compressed texts."""
    return lambda rng: pack("".join(filled("<a> <b> <c> <n>\n", rng) for _ in range(200)).encode())


def a_zip(rng: Draw) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for _ in range(int(rng.integers(1, 6))):
            archive.writestr(zipfile.ZipInfo(filled("<a>/<b>-<n>.txt", rng)), filled("<a> <b> <c>\n" * 50, rng))
    return out.getvalue()


def a_tar(rng: Draw) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for _ in range(int(rng.integers(1, 6))):
            content = filled("<a> <b> <c>\n" * 50, rng).encode()
            member = tarfile.TarInfo(filled("<a>/<b>-<n>.txt", rng))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def a_wav(rng: Draw) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(int(rng.choice([8000, 16000, 44100])))
        sound.writeframes(rng.normal(0, 3000, 4000).astype("<i2").tobytes())
    return out.getvalue()


def a_sqlite(rng: Draw) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute(filled("create table <a> (id integer primary key, <b>_<n> text, <c>_<m> real)", rng))
        return database.serialize()


def an_npy(rng: Draw) -> bytes:
    out = io.BytesIO()
    np.save(out, rng.normal(size=tuple(rng.integers(5, 30, 2))))
    return out.getvalue()


MAKERS: dict[str, Callable[[Draw], bytes]] = {
    **{name: text(**parts) for name, parts in templates().items()},
    "json": a_json,
    "csv": a_csv,
    "png": picture("PNG"),
    "jpeg": picture("JPEG"),
    "gif": picture("GIF"),
    "bmp": picture("BMP"),
    "tiff": picture("TIFF"),
    "zip": a_zip,
    "tar": a_tar,
    "gzip": packed(lambda content: gzip.compress(content, mtime=0)),
    "bzip": packed(bz2.compress),
    "xz": packed(lzma.compress),
    "wav": a_wav,
    "sqlite": a_sqlite,
    "npy": an_npy,
    "pickle": lambda rng: pickle.dumps({filled("<a>_<n>", rng): rng.integers(0, 99, 9).tolist() for _ in range(20)}),
}
