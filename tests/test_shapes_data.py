"""The backbone and the images of its new task: what they are, and that the lesson is true."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import data
from data import pretrain, shapes
from tests.conftest import ROOT


def test_the_images_are_what_they_say():
    """60 of each of 5 kinds, colours between 0 and 1, no two alike."""
    images, labels, names = shapes.few_shot_images()
    assert images.shape == (300, 3, 32, 32)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert (images.min().item(), images.max().item()) == (0.0, 1.0)
    assert labels.bincount().tolist() == [60] * 5
    assert len(set(names)) == 5
    assert len(images.flatten(1).unique(dim=0)) == 300


def test_the_backbone_is_small_and_gives_features():
    """Any number of images, 96 numbers each, alike in every call; below 1.5 MB."""
    images = shapes.few_shot_images()[0][:3]
    backbone = shapes.pretrained_backbone()
    features = backbone(images)
    assert features.shape == (3, backbone.num_features)
    assert features.dtype == torch.float32
    torch.testing.assert_close(shapes.pretrained_backbone()(images[1:2]), features[1:2])
    assert not backbone.training
    assert (data.HERE / shapes.BACKBONE).stat().st_size < 1.5e6


def test_untrained_backbones_differ_by_their_seed():
    """Same seed, same weights; the global random state is left alone."""
    before = torch.get_rng_state()
    one, again, other = (shapes.untrained_backbone(seed).conv1.weight for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    shapes.pretrained_backbone()
    assert torch.equal(before, torch.get_rng_state())


def test_a_changed_backbone_is_refused(monkeypatch, tmp_path):
    """The checksum is compared before a byte of it is used."""
    (tmp_path / "backbone").mkdir()
    whole = (data.HERE / shapes.BACKBONE).read_bytes()
    (tmp_path / shapes.BACKBONE).write_bytes(whole[:-1] + b"?")
    monkeypatch.setattr(data, "HERE", tmp_path)
    with pytest.raises(ValueError, match="not the shipped file"):
        shapes.pretrained_backbone()


def test_the_few_shot_lesson_is_true():
    """10 images a class: as recorded, and far above the untrained network and raw pixels."""
    measured, recorded = pretrain.measure(shapes.pretrained_backbone(), 10), pretrain.recorded()
    assert measured == pytest.approx(recorded["10"], abs=1.0)
    assert measured["pretrained"] >= measured["untrained"] + 35
    assert measured["pretrained"] >= measured["pixels"] + 30


def test_the_readme_shows_what_was_measured():
    """The table in data/README.md is measured.csv, and the log ends with the accuracy it names."""
    text = (ROOT / "data" / "README.md").read_text()
    for shots, accuracies in pretrain.recorded().items():
        cells = " | ".join([shots, *(f"{value:.1f}" for value in accuracies.values())])
        assert f"| {cells} |" in text
    with pretrain.LOG.open() as file:
        last = list(csv.DictReader(file))[-1]
    assert f"the held-out pictures reach {last['accuracy on held-out images']} %" in text


def test_every_letter_is_drawn_in_one_piece():
    """The outline of a figure in squares encloses as many squares as were written."""
    drawing = pytest.importorskip("data.drawing")
    rows = ("###", ".#.", ".##")
    x, y = (np.array(drawing.cells(*rows)) * np.hypot(3, 3) / 2).T
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    assert area == pytest.approx(6)
