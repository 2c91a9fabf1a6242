"""This repository's own house: the table in the README, the shipped data, light imports."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import data
from dojo.curriculum import load
from dojo.table import with_table
from mutants.__main__ import MEASURED, shares
from mutants.table import proof_table
from mutants.table import with_table as with_proofs
from tests.conftest import ROOT


def test_the_readme_lists_every_kata():
    """`nox -s readme` writes the table; nobody writes it by hand."""
    text = (ROOT / "README.md").read_text()
    assert text == with_table(text, load(ROOT))


def test_every_concept_of_the_course_has_a_kata():
    """50 rows; `nox -s readme` shows which katas judge each."""
    curriculum = load(ROOT)
    assert list(curriculum.concepts) == list(range(1, 51))
    taught = {number for kata in curriculum.katas for number in kata.concepts}
    assert set(curriculum.concepts) - taught == set()


def test_the_first_blocks_install_and_prove():
    """The first fenced block ends with the learner's command, the second with the proof."""
    first, second = (ROOT / "README.md").read_text().split("```sh\n")[1:3]
    assert first.split("```")[0].strip().endswith(".venv/bin/kata")
    proof = ".venv/bin/nox -s lint types stubs solutions tests"
    assert second.split("```")[0].strip().endswith(proof)


def test_shipped_data_is_what_it_says():
    """Shapes, ranges, and a file that was changed is refused."""
    images, labels = data.digits()
    assert images.shape == (1797, 1, 28, 28)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert np.bincount(labels).min() > 170
    assert data.photo().shape == (142, 213)


def test_changed_data_is_refused(monkeypatch, tmp_path):
    """The checksum is compared before anything is read."""
    (tmp_path / "x.npz").write_bytes(b"something else")
    (tmp_path / "SHA256SUMS").write_text("0" * 64 + "  x.npz\n")
    monkeypatch.setattr(data, "HERE", tmp_path)
    monkeypatch.setattr(data, "CHECKSUMS", tmp_path / "SHA256SUMS")
    with pytest.raises(ValueError, match="not the shipped file"):
        data.read("x.npz")


@pytest.mark.timeout(60)
def test_a_kata_without_torch_does_not_import_it():
    """Judging output_size loads neither torch nor anything that only commands need."""
    code = (
        "import sys, pytest; status = pytest.main(['katas/01_convolution/test_output_size.py', "
        "'--solutions', '-p', 'no:cacheprovider']); "
        "heavy = {'torch', 'torchvision', 'matplotlib', 'PIL', 'rich', 'textual'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else int(status))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_table_of_proofs_says_what_was_measured():
    """CONTRIBUTING's table is the one that the measured mutants and the kept texts give."""

    known = json.loads(MEASURED.read_text(encoding="utf-8"))
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = proof_table(load(ROOT), lambda name: shares(known, name))
    assert with_proofs(text, table) == text
    assert set(known) == {kata.name for kata in load(ROOT).katas}
