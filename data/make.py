"""Make the files below data/ anew from scikit-learn's copies: `nox -s data`.

Needs scikit-learn and Pillow. Writes the same bytes each time and the checksums with them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np

from data import CHECKSUMS, HERE

GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, the usual weights of R, G and B


def write(name: str, **arrays: np.ndarray) -> None:
    """An .npz whose bytes depend on nothing but the arrays: zip entries without a date."""
    path = HERE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            entry = zipfile.ZipInfo(f"{key}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


def make_digits() -> None:
    """The 8x8 counts 0..16 of the UCI optical digits."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    write("digits/digits.npz", images=images, labels=labels)


def make_photo() -> None:
    """scikit-learn's china.jpg, grey, at a third of its size: each cell the mean of 3x3."""
    from sklearn.datasets import load_sample_image

    image = load_sample_image("china.jpg") @ GREY
    rows, columns = image.shape[0] // 3, image.shape[1] // 3
    blocks = image[: rows * 3, : columns * 3].reshape(rows, 3, columns, 3)
    write("photo/palace.npz", grey=np.rint(blocks.mean((1, 3))).astype(np.uint8))


def write_checksums() -> None:
    """Of every file that a loader reads."""
    paths = [path for kind in ("*.npz", "*.safetensors") for path in HERE.rglob(kind)]
    names = sorted(path.relative_to(HERE).as_posix() for path in paths)
    sums = [f"{hashlib.sha256((HERE / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    CHECKSUMS.write_text("".join(sums))


if __name__ == "__main__":
    make_digits()
    make_photo()
    write_checksums()
