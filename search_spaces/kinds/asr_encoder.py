"""The model of asr-encoder.yaml: Whisper's encoder with random weights."""

import torch
from torch import nn
from transformers import WhisperConfig, WhisperModel

MEL_BINS, FRAMES = 80, 1000


class Encoder(nn.Module):
    """Log-mel frames (batch, MEL_BINS, FRAMES) to hidden states (batch, FRAMES / 2, width), as one tensor."""

    def __init__(self, whisper: nn.Module) -> None:
        super().__init__()
        self.encoder = whisper.encoder

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.encoder(frames).last_hidden_state


def encoder() -> tuple[nn.Module, torch.Tensor]:
    """The encoder, and an example of its input with the batch first."""
    size = {"d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536}
    config = WhisperConfig(**size, decoder_layers=1, num_mel_bins=MEL_BINS, max_source_positions=FRAMES // 2)
    return Encoder(WhisperModel(config)), torch.randn(8, MEL_BINS, FRAMES)
