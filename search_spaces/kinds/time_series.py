"""The model of time-series.yaml: PatchTST with random weights, on sums of waves."""

import torch
from torch import nn
from transformers import PatchTSTConfig, PatchTSTForPrediction

PAST, NEXT, SERIES = 512, 96, 7


class Forecaster(nn.Module):
    """Past values (batch, PAST, SERIES) to the next ones (batch, NEXT, SERIES)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, past: torch.Tensor) -> torch.Tensor:
        return self.model(past_values=past).prediction_outputs


def forecaster() -> tuple[nn.Module, torch.Tensor]:
    """The model, and an example of its input with the batch first."""
    sizes = {"d_model": 128, "num_hidden_layers": 3, "num_attention_heads": 8, "ffn_dim": 256}
    patches = {"patch_length": 16, "patch_stride": 16}
    config = PatchTSTConfig(num_input_channels=SERIES, context_length=PAST, prediction_length=NEXT, **sizes, **patches)
    phases, speeds = 6.3 * torch.rand(64, 1, SERIES), 0.02 + 0.2 * torch.rand(64, 1, SERIES)
    waves = torch.sin(phases + speeds * torch.arange(PAST)[:, None])
    return Forecaster(PatchTSTForPrediction(config)), waves + 0.2 * torch.randn(64, PAST, SERIES)
