"""A small pretrained backbone, and the few labelled images of the task it is handed on to.

data/pretrain.py made both; README.md beside this file has the recipe and what was measured.
"""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data import read, shipped

BACKBONE = "backbone/backbone.safetensors"
IMAGES = "shapes/shapes.npz"
DTYPES = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}


class Block(nn.Module):
    """Two convolutions and a skip, named as in torchvision's ResNets."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Backbone(nn.Module):
    """Images (N, 3, 32, 32) in 0..1 to features (N, 96): a stem and four stages of one block."""

    num_features = 96

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = Block(16, 16, 1)
        self.layer2 = Block(16, 32, 2)
        self.layer3 = Block(32, 64, 2)
        self.layer4 = Block(64, self.num_features, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(2 * x - 1)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.avgpool(x).flatten(1)


def untrained_backbone(seed: int) -> Backbone:
    """The backbone with fresh weights, in eval; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Backbone().eval()


def pretrained_backbone() -> Backbone:
    """The backbone that has learnt 22 other kinds of shapes, in eval; a new one each call."""
    backbone = untrained_backbone(0)
    backbone.load_state_dict(read_safetensors(BACKBONE))
    return backbone


def few_shot_images() -> tuple[Tensor, Tensor, list[str]]:
    """60 images of each of 5 kinds that the backbone never saw, kind by kind.

    Images (300, 3, 32, 32) float32 in 0..1, labels (300,) int64, the kinds' names.
    """
    arrays = read(IMAGES)
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).contiguous()
    return images / 255, torch.from_numpy(arrays["labels"]).long(), arrays["names"].tolist()


def read_safetensors(name: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file below data/, after its checksum was compared.

    Eight bytes hold the length of a JSON header, which says where each tensor's bytes lie:
    https://github.com/huggingface/safetensors#format
    """
    content = bytearray(shipped(name))
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for key, entry in header.items():
        begin, end = entry["data_offsets"]
        piece = content[start + begin : start + end]
        tensors[key] = torch.frombuffer(piece, dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors
