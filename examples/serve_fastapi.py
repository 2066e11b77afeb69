"""The same with FastAPI: POST {"rows": [...]} to /predict, get {"output": [...]}.

    BEST=studies/mine/best.json python -m autotune run studies/mine/best.json -- \
        uvicorn --factory examples.serve_fastapi:app --port 8000

A plain `def` endpoint runs in one of the server's threads (40 unless changed), so that a call does not stop the others
from being read. All threads share one loaded model. Let `run` start several workers, not uvicorn (`--workers 1`, its
default): each loads the model itself, on its own cores.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

import autotune
from autotune.core.errors import ModelError


class Batch(BaseModel):
    """The rows of the model's input, as nested lists."""

    rows: list[Any]


def app() -> FastAPI:
    """The application, with the model that the variable BEST names."""
    return serving(autotune.load(os.environ["BEST"]))


def serving(model: Callable[[Any], Any], dtype: str = "float32") -> FastAPI:
    """The application with a loaded model of one input and one output."""
    api = FastAPI()

    @api.post("/predict")
    def predict(batch: Batch) -> dict[str, Any]:
        try:
            answer = model(np.asarray(batch.rows, dtype))
        except (ModelError, ValueError) as error:
            raise HTTPException(400, str(error)) from error
        return {"output": answer.tolist()}

    return api
