"""The model of detector.yaml: SSDlite with random weights, without the filtering of its boxes."""

import torch
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large


class Network(nn.Module):
    """Images (batch, 3, 320, 320) to offsets of boxes (batch, anchors, 4) and scores (batch, anchors, classes)."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.head(list(self.backbone(images).values()))
        return found["bbox_regression"], found["cls_logits"]


def network() -> tuple[nn.Module, torch.Tensor]:
    """The network, and an example of its input with the batch first."""
    return Network(ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)), torch.rand(8, 3, 320, 320)
