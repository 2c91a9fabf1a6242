"""The proofs of this repository. `nox` runs those that every change must pass.

All sessions but `wheel` use the environment nox itself runs in: torch weighs a gigabyte, and
one environment with the `dev` extra has everything (`pip install -e ".[dev]"`).
"""

import os
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "stubs", "solutions", "tests", "variants"]
nox.options.error_on_missing_interpreters = True

# two judging processes on two cores: more threads in each only get into each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a proof that is red today and green tomorrow helps nobody: what every change must pass draws
# the same inputs each time, and `fresh` looks for those that this seed does not show
SEED = "1"

HERE = Path(__file__).parent
FORMS = {
    "github-workflows": [".github/workflows/*.yml", "docs/*.yml"],
    "github-issue-forms": [".github/ISSUE_TEMPLATE/[0-9]*.yml"],
    "github-issue-config": [".github/ISSUE_TEMPLATE/config.yml"],
}


def python(session: nox.Session, *arguments: str) -> None:
    session.run(sys.executable, "-m", *arguments, external=True)


@nox.session
def katas(session: nox.Session) -> None:
    """Judge the learner's own work: nox -s katas -- katas/01_convolution"""
    python(session, "pytest", *(session.posargs or ["katas"]))


@nox.session
def solutions(session: nox.Session) -> None:
    """All reference answers pass their suites, on the same inputs each time."""
    python(session, "pytest", "--solutions", "--kata-seed", SEED, *(session.posargs or ["katas"]))


@nox.session
def stubs(session: nox.Session) -> None:
    """Every stub is the one its solution gives, and red by its own NotImplementedError."""
    python(session, "dojo", "check", "--stubs", *session.posargs)


@nox.session
def variants(session: nox.Session) -> None:
    """Every right answer is green; every wrong one is red and its mistake is named."""
    python(session, "dojo", "check", "--kata-seed", SEED, *session.posargs)


@nox.session
def fresh(session: nox.Session) -> None:
    """The proof of `variants` on inputs that nobody has seen before; to be run now and then."""
    python(session, "dojo", "check", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Small changes of the reference answers are rejected; only what is new is judged."""
    python(session, "mutants", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The tooling does what it says."""
    python(session, "pytest", "tests", *session.posargs)


@nox.session(venv_backend="venv")
def wheel(session: nox.Session) -> None:
    """The built wheel in an empty environment: `kata init`, a green kata, `kata update`."""
    python(session, "tests.wheel_proof", session.virtualenv.location)


@nox.session
def page(session: nox.Session) -> None:
    """The page of `kata report` in a real browser; skipped, and said so, where there is none."""
    find = (sys.executable, "-m", "tests.browser.finding")
    why_not = str(session.run(*find, external=True, silent=True)).strip()
    if why_not:
        session.skip(why_not)
    python(session, "pytest", "tests/browser", "-n", "0", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and format, as ruff sees them; workflows and issue forms fit their schemas."""
    python(session, "ruff", "check", ".")
    python(session, "ruff", "format", "--check", ".")
    for schema, files in FORMS.items():
        paths = sorted(str(path) for pattern in files for path in HERE.glob(pattern))
        python(session, "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *paths)


@nox.session
def types(session: nox.Session) -> None:
    """The tooling's types hold."""
    python(session, "mypy")


@nox.session
def data(session: nox.Session) -> None:
    """Make the files below data/ anew (needs scikit-learn and Pillow)."""
    python(session, "data.make")


@nox.session
def pretrain(session: nox.Session) -> None:
    """Train data/backbone anew and compare its accuracy with the recorded one."""
    python(session, "data.pretrain")


@nox.session
def bench(session: nox.Session) -> None:
    """Speed, compared in one run: nox -s bench -- saves --saves 30"""
    python(session, "benchmarks", *session.posargs)


@nox.session
def readme(session: nox.Session) -> None:
    """Write the table of katas into the README."""
    python(session, "dojo.table")


@nox.session
def pictures(session: nox.Session) -> None:
    """Draw the lessons' pictures with the reference answers."""
    drawn = {
        "01_convolution": "edge_filters", "02_cnn": "trace_shapes", "03_resnet": "residual",
        "04_transfer": "freeze_backbone", "05_seeing": "grad_cam",
    }  # fmt: skip
    for chapter, kata in drawn.items():
        picture = f"katas/{chapter}/lesson.png"
        python(session, "dojo", "show", kata, "--solutions", "--to", picture)
