"""The queries of retrieval.yaml and how its answers are judged: a query must find its passage among all of them."""

import functools
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

HERE = Path(__file__).parent
MODEL = HERE.parent / "pretrained" / "all-MiniLM-L6-v2"
LENGTH = 32
"""Tokens of a row: shorter texts are padded, and a mask says so."""


def queries() -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Token ids and masks of all queries, and the number of the passage that each one asks for."""
    asked = [(query, number) for number, (_, *both) in enumerate(facts()) for query in both]
    return tokens([query for query, _ in asked]), np.array([number for _, number in asked])


def found(outputs: tuple[np.ndarray, ...], labels: np.ndarray) -> np.ndarray:
    """1 for each query whose embedding is nearest to that of its own passage, else 0."""
    embeddings = outputs[0] / np.linalg.norm(outputs[0], axis=1, keepdims=True)
    return (embeddings @ index().T).argmax(1) == labels


@functools.cache
def index() -> np.ndarray:
    """The passages' embeddings, of length 1, by the float32 model: they are stored in production, where queries run."""
    import torch

    from autotune.workloads import transformers

    model = transformers.build(str(MODEL), transformers.Options(head="mean"), seed=0)
    with torch.inference_mode():
        embeddings = model(*map(torch.from_numpy, tokens([passage for passage, *_ in facts()]))).numpy()
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def facts() -> list[list[str]]:
    """Each passage with the two queries that ask for it."""
    return [line.split("\t") for line in (HERE / "retrieval.tsv").read_text().splitlines()]


def tokens(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and masks of shape (texts, LENGTH), int64."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    rows = tokenizer.encode_batch(texts)
    return np.array([row.ids for row in rows]), np.array([row.attention_mask for row in rows])
