"""The digits: what they are, how they are split, and MNIST in their place."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from data import Split, digits, split_digits
from tests.conftest import ROOT

NAMES = {"train": (7, "train"), "held_out": (3, "t10k")}  # images, and MNIST's word for the part


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache of torch's, and no way to the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    return tmp_path


def _no_network(*args, **kwargs):
    raise OSError("no network in a test")


def idx(array: np.ndarray) -> bytes:
    """The array in the format of MNIST's files: 0, 0, unsigned bytes, axes, their sizes, data."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def laid_into(cache) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A few images and labels where torchvision looks for MNIST; what was laid there."""
    raw, rng, laid = cache / "datasets" / "MNIST" / "raw", np.random.default_rng(0), {}
    raw.mkdir(parents=True)
    for part, (count, word) in NAMES.items():
        images, labels = rng.integers(0, 256, (count, 28, 28)), rng.integers(0, 10, count)
        images[0, 0, :2] = 0, 255
        (raw / f"{word}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{word}-labels-idx1-ubyte").write_bytes(idx(labels))
        laid[part] = images, labels
    return laid


def test_every_third_digit_is_held_out():
    """Nothing is lost, nothing is in both parts, and the next call splits alike."""
    images, labels = digits()
    split = split_digits("digits")
    assert split.train_images.shape == (1198, 1, 28, 28)
    assert split.held_out_images.shape == (599, 1, 28, 28)
    for whole, learnt, held_out in [(images, split[0], split[2]), (labels, split[1], split[3])]:
        assert learnt.dtype == held_out.dtype == whole.dtype
        assert np.array_equal(held_out, whole[2::3])
        assert np.array_equal(learnt[0::2], whole[0::3])
        assert np.array_equal(learnt[1::2], whole[1::3])
    for one, again in zip(split, split_digits("digits"), strict=True):
        assert np.array_equal(one, again)


def test_every_class_is_in_both_parts():
    """No class makes up less than a twelfth or more than an eighth of either part."""
    split = split_digits("digits")
    for labels in (split.train_labels, split.held_out_labels):
        shares = np.bincount(labels, minlength=10) / len(labels)
        assert shares.min() > 1 / 12
        assert shares.max() < 1 / 8


def test_without_a_word_they_are_the_shipped_ones(monkeypatch, capsys):
    """No KATAS_DATA, or "digits", is the default, without a warning."""
    wanted = split_digits("digits")
    for word in (None, "", "digits"):
        monkeypatch.delenv("KATAS_DATA", raising=False)
        if word is not None:
            monkeypatch.setenv("KATAS_DATA", word)
        assert np.array_equal(split_digits().held_out_images, wanted.held_out_images)
    assert capsys.readouterr() == ("", "")


def test_mnist_comes_out_of_torchvisions_cache(monkeypatch, capsys, cache):
    """KATAS_DATA=mnist: the cached files, scaled to 0..1, without any network."""
    laid = laid_into(cache)
    monkeypatch.setenv("KATAS_DATA", "mnist")
    split = split_digits()
    assert isinstance(split, Split)
    for part, (images, labels) in laid.items():
        got_images, got_labels = getattr(split, f"{part}_images"), getattr(split, f"{part}_labels")
        assert (got_images.dtype, got_labels.dtype) == (np.float32, np.int64)
        assert np.allclose(got_images, images[:, None] / 255)
        assert (got_images.min(), got_images.max()) == (0.0, 1.0)
        assert np.array_equal(got_labels, labels)
    assert capsys.readouterr().err == ""


def test_a_suite_may_ask_for_the_shipped_ones_whatever_the_environment_says(monkeypatch, cache):
    """What the call says counts for more than KATAS_DATA."""
    laid_into(cache)
    monkeypatch.setenv("KATAS_DATA", "mnist")
    assert len(split_digits("digits").train_labels) == 1198


def test_without_mnist_one_line_says_so(monkeypatch, capsys, cache):
    """Nothing cached and nothing to be fetched: the shipped digits, and a line on stderr."""
    monkeypatch.setenv("KATAS_DATA", "mnist")
    split = split_digits()
    assert np.array_equal(split.train_labels, split_digits("digits").train_labels)
    printed, told = capsys.readouterr()
    assert printed == ""
    assert told.startswith("MNIST cannot be had (")
    assert told.endswith("): the shipped digits are used instead\n")
    assert told.count("\n") == 1


def test_a_damaged_cache_is_told_too(monkeypatch, capsys, cache):
    """A file that was cut off is no MNIST."""
    laid_into(cache)
    path = cache / "datasets" / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-9])
    monkeypatch.setenv("KATAS_DATA", "mnist")
    assert len(split_digits().train_labels) == 1198
    assert "the shipped digits are used instead" in capsys.readouterr().err


@pytest.mark.parametrize(("source", "word"), [("MNIST", ""), ("", "cifar"), ("photo", "mnist")])
def test_other_sources_are_refused(monkeypatch, source, word):
    """The value is named, and what is allowed."""
    monkeypatch.setenv("KATAS_DATA", word)
    with pytest.raises(ValueError, match="'digits' or 'mnist'"):
        split_digits(source)


def test_the_data_are_loaded_without_torch():
    """Katas without torch draw on a photo: nothing here may cost them its start-up time."""
    told = (
        "import sys, data; data.photo(); data.split_digits('digits'); print('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"
