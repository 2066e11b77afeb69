"""The model of tts.yaml: a small VITS with random weights.

What a text's length and chance decide is left out, since a runtime's graph has the same shapes and answers in each
call: every character lasts FRAMES frames, and the prior's mean stands for a sample of it.
"""

import torch
from torch import nn
from transformers import VitsConfig, VitsModel

CHARACTERS, FRAMES = 16, 4


class Voice(nn.Module):
    """Ids (batch, CHARACTERS) and their mask to samples (batch, CHARACTERS * FRAMES * upsampling)."""

    def __init__(self, vits: nn.Module) -> None:
        super().__init__()
        self.text_encoder, self.flow, self.decoder = vits.text_encoder, vits.flow, vits.decoder

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        padding = mask.unsqueeze(-1).float()
        means = self.text_encoder(ids, padding, attention_mask=mask).prior_means
        frames = means.repeat_interleave(FRAMES, dim=1).transpose(1, 2)
        spoken = padding.repeat_interleave(FRAMES, dim=1).transpose(1, 2)
        return self.decoder(self.flow(frames, spoken, reverse=True) * spoken).squeeze(1)


def voice() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """The model, and an example of its inputs with the batch first."""
    sizes = {
        "hidden_size": 96,
        "flow_size": 96,
        "ffn_dim": 384,
        "num_hidden_layers": 3,
        "upsample_initial_channel": 64,
    }
    vits = VitsModel(VitsConfig(vocab_size=40, **sizes))
    lengths = torch.randint(CHARACTERS // 2, CHARACTERS + 1, (8, 1))
    mask = (torch.arange(CHARACTERS) < lengths).long()
    return Voice(vits), (torch.randint(1, 40, mask.shape) * mask, mask)
