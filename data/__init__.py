"""The small real data of this repository; README.md beside this file has source and licence."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
CHECKSUMS = HERE / "SHA256SUMS"


def shipped(name: str) -> bytes:
    """The bytes of one file below data/, after its checksum was compared.

    Raises ValueError when the file is not the one that was shipped.
    """
    content = (HERE / name).read_bytes()
    if f"{hashlib.sha256(content).hexdigest()}  {name}" not in CHECKSUMS.read_text().splitlines():
        raise ValueError(
            f"data/{name} is not the shipped file: get it anew with git checkout data, "
            "or by installing the package again"
        )
    return content


def read(name: str) -> dict[str, np.ndarray]:
    """The arrays of one .npz file below data/, after its checksum was compared.

    Raises ValueError when the file is not the one that was shipped.
    """
    with np.load(io.BytesIO(shipped(name)), allow_pickle=False) as arrays:
        return dict(arrays)


def photo() -> np.ndarray:
    """A grey photograph of a palace by a lake, (H, W) float64 in [0, 1]."""
    return read("photo/palace.npz")["grey"] / 255.0


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 handwritten digits: images (N, 1, 28, 28) float32 in [0, 1], labels (N,) int64.

    The 8x8 images stand at three times their size in the middle of 28x28.
    """
    arrays = read("digits/digits.npz")
    large = arrays["images"].repeat(3, axis=1).repeat(3, axis=2).astype(np.float32) / 16.0
    return np.pad(large, ((0, 0), (2, 2), (2, 2)))[:, None], arrays["labels"].astype(np.int64)


class Split(NamedTuple):
    """Images (N, 1, 28, 28) float32 in [0, 1], labels (N,) int64: to learn from, and held out."""

    train_images: np.ndarray
    train_labels: np.ndarray
    held_out_images: np.ndarray
    held_out_labels: np.ndarray


def split_digits(source: str = "") -> Split:
    """Handwritten digits to learn from, and others to be tried on: the same split in every run.

    source: "digits", which are shipped: every third is held out, 1,198 and 599; or "mnist":
    60,000 and 10,000, from torchvision's cache or the network. By default it is what the
    environment's KATAS_DATA says, and "digits" if it says nothing. Where MNIST cannot be had,
    one line on stderr says so and the shipped digits take its place.

    Raises ValueError for any other source.
    """
    asked = source or os.environ.get("KATAS_DATA") or "digits"
    if asked not in ("digits", "mnist"):
        where = "source" if source else "KATAS_DATA"
        raise ValueError(f"{where} is {asked!r}, it may be 'digits' or 'mnist'")
    if asked == "mnist":
        try:
            return _mnist()
        except Exception as error:  # whatever the network, the disk or the cached files bring
            why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(": ")
            told = f"MNIST cannot be had ({why}): the shipped digits are used instead"
            print(told, file=sys.stderr)
    images, labels = digits()
    held_out = np.arange(len(labels)) % 3 == 2
    return Split(images[~held_out], labels[~held_out], images[held_out], labels[held_out])


def _mnist() -> Split:
    import torch.hub

    from dojo import vision  # noqa: F401 - before torchvision, which it lets be imported
    from torchvision.datasets import MNIST  # isort: skip

    cache = Path(torch.hub.get_dir()).parent / "datasets"
    with contextlib.redirect_stdout(io.StringIO()):  # torchvision reports each mirror there
        parts = [MNIST(cache, train=train, download=True) for train in (True, False)]
    return Split(*(array for part in parts for array in _as_digits(part.data, part.targets)))


def _as_digits(images, labels) -> tuple[np.ndarray, np.ndarray]:
    return images[:, None].numpy().astype(np.float32) / 255, labels.numpy().astype(np.int64)
