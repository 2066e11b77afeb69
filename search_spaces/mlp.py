"""The model of mlp.yaml: what a `python:` workload looks like."""

import torch
from torch import nn


def model() -> tuple[nn.Module, torch.Tensor]:
    """A module, and an example of its input with the batch first."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return layers, torch.randn(32, 256)
