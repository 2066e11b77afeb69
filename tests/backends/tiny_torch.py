"""Tiny torch models for tests in a child: of images, of integers with a mapping of outputs, and some that resist."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotune.backends import torch_eager
from tests.backends.child import configured


class Workload:
    """`images`, `dense`, `words`, `fixed` (its batch cannot vary), `branching` (on its data), `broken` (it raises)."""

    form = "module"
    described = ()

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def batch_axes(self) -> tuple[int, ...]:
        """The batch is first in each."""
        return (0, 0) if self.name == "words" else (0,)

    def module(self) -> Any:
        """The model, the same each time."""
        import torch

        torch.manual_seed(0)
        made: Any = globals()[f"_{self.name}"]()
        return made.eval()

    def arrays(self, batch_size: int) -> tuple[np.ndarray[Any, Any], ...]:
        """The inputs: row i is the same for every batch size."""
        rng = np.random.default_rng(0)
        if self.name == "words":
            return rng.integers(0, 50, (64, 12))[:batch_size], np.ones((batch_size, 12), np.float32)
        return (rng.standard_normal((64, 3, 16, 16), dtype=np.float32)[:batch_size],)

    def calibration(self, least: int) -> tuple[np.ndarray[Any, Any], ...]:
        """The same rows."""
        return self.arrays(least)

    def error(self, session: Any, rows: int) -> float:
        """The energy of a session's error over that of the variation between rows, the worst of the outputs."""
        eager = torch_eager.load(self, torch_eager.Options(), configured("torch_eager"), None)  # type: ignore[arg-type]
        wanted, got = (s.outputs(s(s.convert(self.arrays(rows)))) for s in (eager, session))
        assert [array.shape for array in got] == [array.shape for array in wanted]
        middle = [array.mean(0) for array in eager.outputs(eager(eager.convert(self.arrays(8))))]
        return max(
            float(((a - b) ** 2).sum() / ((b - m) ** 2).sum()) for a, b, m in zip(got, wanted, middle, strict=True)
        )


def _images() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 8 * 8, 4),
    )


def _dense() -> Any:
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4), nn.ReLU())  # one kernel where it is compiled


def _words() -> Any:
    import torch
    from torch import nn

    class Words(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(50, 32)
            self.places = nn.Embedding(13, 32)
            self.first = nn.Linear(32, 64)
            self.last = nn.Linear(64, 16)

        def forward(self, words: Any, mask: Any) -> dict[str, Any]:
            present = words.ne(0).int()  # positions that skip padding, as MPNet and RoBERTa have them
            places = (torch.cumsum(present, dim=1).type_as(present) * present).long()
            hidden = torch.relu(self.first(self.table(words) + self.places(places))) * mask.unsqueeze(-1)
            return {"logits": self.last(hidden), "pooled": hidden.mean(1)}

    return Words()


def _fixed() -> Any:
    import torch

    class Fixed(torch.nn.Module):  # type: ignore[misc]
        def forward(self, images: Any) -> Any:
            return images.reshape(2, -1) * 2

    return Fixed()


def _branching() -> Any:
    import torch

    class Branching(torch.nn.Module):  # type: ignore[misc]
        def forward(self, images: Any) -> Any:
            return images * 2 if images.sum() > 0 else images

    return Branching()


def _broken() -> Any:
    import torch

    class Broken(torch.nn.Module):  # type: ignore[misc]
        def forward(self, images: Any) -> Any:
            raise NotImplementedError("no such thing")

    return Broken()
