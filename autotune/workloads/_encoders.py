"""Models of transformers as modules of positional tensors that return one tensor, so that they can be exported."""

from __future__ import annotations

from typing import Any


def of_texts(model: Any, output: str, mean: bool) -> Any:
    """A module of input_ids and attention_mask; `mean` is over the tokens of each row that the mask counts."""
    import torch

    class TextEncoder(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask)[output]
            if not mean:
                return hidden
            counted = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return (hidden * counted).sum(1) / counted.sum(1)

    return TextEncoder()


def of_images(model: Any, output: str) -> Any:
    """A module of pixel_values."""
    import torch

    class ImageEncoder(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: Any) -> Any:
            return self.model(pixel_values=pixel_values)[output]

    return ImageEncoder()
