"""The proof of a kata: its stub is red, its right answers green, its wrong ones red and named."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from dojo import golden, kept
from dojo.answers import Library
from dojo.bank import Bank, Variant
from dojo.curriculum import Curriculum, Kata
from dojo.diagnose import alike
from dojo.explain import Red
from dojo.judge import Judgement
from dojo.results import GREEN, Result
from dojo.stub import StubError, stub_text
from dojo.worker import Worker, judgements, needed_imports

LEAST = {"right": 1, "wrong": 3}


@dataclass
class Proof:
    """What a kata's check found: `faults` is empty when everything holds."""

    kata: Kata
    faults: list[str] = field(default_factory=list)
    tests: int = 0
    variants: list[Variant] = field(default_factory=list)
    seconds: float = 0.0
    texts: dict[str, str] = field(default_factory=dict)  # the first failure of each wrong answer

    def line(self) -> str:
        count = {kind: sum(v.kind == kind for v in self.variants) for kind in LEAST}
        facts = f"{self.tests} tests, {count['right']} right, {count['wrong']} wrong"
        state = "ok  " if not self.faults else "FAIL"
        return f"{state} {self.kata.key:<34} {facts}, {self.seconds:.1f} s"


def check(
    curriculum: Curriculum, katas: list[Kata], stubs_only: bool = False, seed: int | None = None
) -> Iterator[Proof]:
    """Prove katas one after the other; the jobs of one run side by side.

    All of a kata's jobs draw the same inputs, fresh ones unless a seed is given. Without one, a
    mistake is first tried on the test that its golden text names: any red proves that it is
    caught. With a seed tests keep their order, and what comes out is what a learner sees first.
    """
    os.environ.update(KATA_NO_RECORD="1", OMP_NUM_THREADS="1")
    library = Library(curriculum, solutions=True)
    with Worker(curriculum.root, needed_imports(katas)) as worker:
        for kata in katas:
            proof = Proof(kata)
            began = time.perf_counter()
            bank = _static_faults(proof, library)
            if bank is not None:
                proof.variants = list(bank.variants)
                with tempfile.TemporaryDirectory(prefix="kata-replays-") as folder:
                    os.environ[kept.VARIABLE] = folder
                    if stubs_only:
                        _run(proof, [((), _stub(proof))], worker)
                    else:
                        begin = golden.caught_by(kata) if seed is None else {}
                        drawn = secrets.randbits(31) if seed is None else seed
                        _prove(proof, bank, drawn, begin, worker)
            order = [variant.name for variant in proof.variants]
            proof.texts = {name: proof.texts[name] for name in order if name in proof.texts}
            proof.seconds = time.perf_counter() - began
            yield proof


def _static_faults(proof: Proof, library: Library) -> Bank | None:
    """What can be said without judging; None where the rest cannot be done."""
    kata = proof.kata
    try:
        bank, stub = library.bank(kata), stub_text(kata)
    except (Red, StubError) as error:
        proof.faults.append(str(error))
        return None
    if not kata.suite.is_file():
        proof.faults.append(f"{kata.shown(kata.suite)} is missing")
        return None
    if not kata.stub.is_file() or kata.stub.read_text(encoding="utf-8") != stub:
        proof.faults.append(
            f"{kata.shown(kata.stub)} is not the stub of its solution: kata reset {kata.name}"
        )
    if len(bank.hints) < 3:
        proof.faults.append(f"{len(bank.hints)} hints, at least 3 are wanted")
    proof.faults += _variant_faults(bank) + _example_faults(kata, bank)
    return bank


def _variant_faults(bank: Bank) -> list[str]:
    faults = []
    for kind, least in LEAST.items():
        if len(bank.of_kind(kind)) < least:
            faults.append(f"{len(bank.of_kind(kind))} {kind} answers, at least {least} are wanted")
    sentences: dict[str, str] = {}
    for variant in bank.of_kind("wrong"):
        if not variant.sentence:
            faults.append(f"{variant.name} has no docstring: its first line names the mistake")
        elif variant.sentence in sentences:
            faults.append(f"{variant.name} has the sentence of {sentences[variant.sentence]}")
        sentences[variant.sentence] = variant.name
    return faults


def _example_faults(kata: Kata, bank: Bank) -> list[str]:
    """The examples in docstrings are run on the reference."""
    out = io.StringIO()
    module = bank.module
    # of the answer only: variants repeat no examples
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner(verbose=False)
    found = [test for test in finder.find(module, kata.name) if test.examples]
    with contextlib.redirect_stdout(out):
        for test in found:
            runner.run(test, out=out.write)
    faults = [] if found else ["no docstring has an example (>>>)"]
    if runner.summarize(verbose=False).failed:
        faults.append("an example fails:\n" + out.getvalue().strip())
    return faults


FIRST = ("-x", "--no-diagnosis")
Rule = Callable[[Judgement], str]
Work = tuple[tuple[str, ...], Rule]


def _prove(proof: Proof, bank: Bank, seed: int, begin: dict[str, str], worker: Worker) -> None:
    """Judge the stub, the reference, all variants.

    A wrong answer runs to its first failure. What each gave there is enough to name it: one
    that passes this test, or failed in an earlier one, gives something else. An answer that
    is like others so early runs on, with the learner's own diagnosis among these, until one of
    its failures has its name: what would follow can only speak against the others. Slow tests
    are left out then, since a diagnosis does not run them again.
    """
    # one seed for all, so that what one process found serves the others
    same: tuple[str, ...] = ("--solutions", "--kata-seed", str(seed))
    first: dict[str, Result] = {}
    jobs: list[Work] = [(same, partial(_not_green, "the reference")), ((), _stub(proof))]
    for variant in bank.of_kind("wrong"):
        options = (*same, "--variant", variant.name, f"--begin-with={begin.get(variant.name, '')}")
        jobs.append(((*options, *FIRST), _red_at_first(variant, first)))
    _run(proof, jobs, worker)
    jobs = []
    for variant in bank.of_kind("right"):
        rule = partial(_not_green, f"right answer {variant.name}")
        jobs.append(((*same, "--variant", variant.name), rule))
    for variant in bank.of_kind("wrong"):
        if (result := first.get(variant.name)) is None:
            continue
        tied = _tied(result, first, bank)
        result.diagnosis = tied[0].sentence if tied else ""
        text = proof.texts[variant.name] = golden.text_of(result)
        if variant.sentence not in " ".join(text.split()):
            names = ",".join(other.name for other in tied or bank.of_kind("wrong"))
            options = (*same, "--variant", variant.name, f"--begin-with={result.name}")
            jobs.append(((*options, f"--among={names}"), _red_and_named(proof, variant)))
    _run(proof, jobs, worker)


def _stub(proof: Proof) -> Rule:
    def stub(judgement: Judgement) -> str:
        outcome = judgement.outcome
        proof.tests = outcome.total
        odd = [r for r in outcome.failures if r.cause != "stub"]
        if outcome.ended or outcome.passed or len(outcome.results) != outcome.total:
            return f"the stub: {outcome.passed} of {outcome.total} pass {outcome.ended}".rstrip()
        return f"the stub fails {odd[0].name} otherwise: {odd[0].message}" if odd else ""

    return stub


def _red_at_first(variant: Variant, first: dict[str, Result]) -> Rule:
    """Keeps the first failure with what was observed in it."""

    def red(judgement: Judgement) -> str:
        outcome = judgement.outcome
        if outcome.verdict == GREEN:
            return f"wrong answer {variant.name} passes every test"
        if outcome.ended or outcome.first is None:
            return f"wrong answer {variant.name}: {outcome.ended or 'not all tests ran'}"
        name = outcome.first.name
        first[variant.name] = kept.found(name, variant.name) or outcome.first
        return ""

    return red


def _tied(result: Result, first: dict[str, Result], bank: Bank) -> list[Variant]:
    """The mistakes that gave the same in this first failure; none where a diagnosis is silent."""
    if result.slow or result.observed is None:
        return []
    return [
        variant
        for variant in bank.of_kind("wrong")
        if (theirs := first.get(variant.name)) is not None
        and theirs.name == result.name
        and alike(theirs.observed, result.observed)
    ]


def _red_and_named(proof: Proof, variant: Variant) -> Rule:
    def named(judgement: Judgement) -> str:
        first = judgement.outcome.first
        if judgement.outcome.ended or first is None:
            return f"wrong answer {variant.name}: {judgement.outcome.ended or 'it is green'}"
        proof.texts[variant.name] = golden.text_of(first)
        if variant.sentence not in " ".join(judgement.printed.split()):
            return f"wrong answer {variant.name} is red, but its sentence is not printed"
        return ""

    return named


def _not_green(who: str, judgement: Judgement) -> str:
    outcome = judgement.outcome
    if outcome.verdict == GREEN:
        return ""
    first = outcome.first
    why = outcome.ended or (f"{first.name}: {first.message}" if first else "not all tests ran")
    return f"{who} is {outcome.verdict}: {why}"


def _run(proof: Proof, jobs: list[Work], worker: Worker) -> None:
    """Run the jobs, a few at a time."""
    judged = judgements(proof.kata, [options for options, _ in jobs], worker)
    for (_, rule), judgement in zip(jobs, judged, strict=True):
        proof.faults += filter(None, [rule(judgement)])
