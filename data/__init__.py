"""The small real data of this repository; README.md beside this file has source and licence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CHECKSUMS = HERE / "SHA256SUMS"


def read(name: str) -> dict[str, np.ndarray]:
    """The arrays of one .npz file below data/, after its checksum was compared.

    Raises ValueError when the file is not the one that was shipped.
    """
    path = HERE / name
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = {n: c for c, n in map(str.split, CHECKSUMS.read_text().splitlines())}
    if wanted.get(name) != found:
        raise ValueError(f"data/{name} is not the shipped file: get it anew with git checkout data")
    with np.load(path, allow_pickle=False) as arrays:
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
