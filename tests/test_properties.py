"""What holds for every input of the tooling, not only for those that somebody thought of.

Many cases are made up by hypothesis; each property says what may come out, and that nothing else
does: no traceback of ours, no loss, no double.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import inspect
import io
import json
import math
import operator
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dojo import checks, diagnose, moving
from dojo.cli import UsageError
from dojo.curriculum import Curriculum, CurriculumError, Kata, UnknownKata, load
from dojo.explain import Red, describe
from dojo.failure import explain
from dojo.results import FAILED, Result
from dojo.store import FILE, content_hash, open_store
from dojo.stub import public_names, stub_text
from tests.conftest import ROOT

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore")]


def cases(number: int):
    """So many cases, however busy the machine is; the same ones in every run."""
    return settings(
        max_examples=number, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def one_line(error: Exception) -> bool:
    return len(str(error).splitlines()) == 1 and "Traceback" not in str(error)


# -- curriculum files

LINES = st.sampled_from([
    "[[chapter]]", "name = 'a'", "name = 'b'", "title = 'x'", "title = 3", "katas = []",
    "katas = [{ name = 'x' }]", "katas = [{ name = 'y', needs = ['x'] }]",
    "katas = [{ name = 'x', needs = ['x'] }]", "katas = [{ name = 'x', concepts = [1, 9] }]",
    "katas = [{ name = 'class' }, { name = '1' }]", "katas = [[]]", "katas = { name = 'x' }",
    "[concepts]", "1 = 'one'", "x = 1", "1 = 1", "[[concepts]]", "[chapter]", "name = 'a\\nb'",
    "name = 2020-13-45", "n = " + "9" * 5000, "9" * 5000 + " = 'many'", "n = " + "[" * 3000,
    "name = nan", "# a remark", "extra = true", "",
])  # fmt: skip


def loaded(root: Path, content: bytes) -> Curriculum | None:
    """The curriculum, or None where it was refused in one line."""
    (root / "katas").mkdir(exist_ok=True)
    (root / "katas" / "curriculum.toml").write_bytes(content)
    try:
        return load(root)
    except CurriculumError as error:
        refused = error
    assert one_line(refused), str(refused)
    assert "katas/curriculum.toml" in str(refused)
    return None


@cases(80)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode("utf-8"))))
def test_any_bytes_are_no_curriculum_or_one(tmp_path_factory, content):
    """A file of anything is read or refused in one line."""
    loaded(tmp_path_factory.getbasetemp(), content)


@cases(200)
@given(st.lists(LINES, max_size=9).map("\n".join))
def test_any_lines_are_a_curriculum_or_one_clear_line(tmp_path_factory, text):
    """Lines in any order; what is read names no kata twice and needs only earlier ones."""
    curriculum = loaded(tmp_path_factory.getbasetemp(), text.encode())
    if curriculum is not None:
        names = [kata.name for kata in curriculum.katas]
        assert len(set(names)) == len(names) > 0
        for place, kata in enumerate(curriculum.katas):
            assert set(kata.needs) <= set(names[:place])


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True)


@st.composite
def tables(draw):
    """A curriculum as it should be: katas by chapter, each needing some of the earlier ones."""
    names = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    entries = []
    for place, name in enumerate(names):
        needs = draw(
            st.lists(st.sampled_from(names[:place]), unique=True) if place else st.just([])
        )
        entries.append((name, needs, draw(st.lists(st.integers(1, 50), max_size=3))))
    cut = draw(st.integers(0, len(entries)))
    return [(chapter, part) for chapter, part in (("01_a", entries[:cut]), ("02_b", entries[cut:]))]


def written(table, needs=None) -> bytes:
    """The table as a file; `needs` replaces those of every kata."""
    lines = []
    for chapter, entries in table:
        lines += ["[[chapter]]", f"name = '{chapter}'", "katas = ["]
        for name, own, concepts in entries:
            wanted = own if needs is None else needs
            lines.append(f"  {{ name = '{name}', needs = {wanted}, concepts = {concepts} }},")
        lines.append("]")
    return "\n".join(lines).encode()


@cases(80)
@given(tables())
def test_a_valid_table_is_read_as_it_stands(tmp_path_factory, table):
    """Order, chapters, needs and concepts; a need that no earlier line names is refused."""
    root = tmp_path_factory.getbasetemp()
    curriculum = loaded(root, written(table))
    assert curriculum is not None
    found = [(k.chapter, k.name, list(k.needs), list(k.concepts)) for k in curriculum.katas]
    assert found == [(chapter, *entry) for chapter, entries in table for entry in entries]
    last = curriculum.katas[-1].name  # nothing stands before the first, and a kata is not its own
    assert loaded(root, written(table, [last])) is None
    assert loaded(root, written(table, ["no such kata"])) is None


# -- names of katas

CURRICULUM = load(ROOT)


@cases(300)
@given(st.one_of(st.text(max_size=30), st.text("abcdefnotr_/12.\\\n '", max_size=12)))
def test_any_text_names_one_kata_or_is_refused_in_one_line(text):
    """Unicode, line ends, quotes, paths."""
    try:
        found: Kata | UnknownKata = CURRICULUM.find(text)
    except UnknownKata as error:
        found = error
    if isinstance(found, UnknownKata):
        assert one_line(found), str(found)
    else:
        part = text.replace("\\", "/").rpartition("/")[2].removeprefix("test_")
        assert part.removesuffix(".py") in found.key


@cases(150)
@given(st.data())
def test_a_unique_part_and_every_path_find_the_kata(data):
    """A part of a name that no other has, its stub, suite and solution, from any folder above."""
    kata = data.draw(st.sampled_from(CURRICULUM.katas))
    start = data.draw(st.integers(0, len(kata.name) - 1))
    part = kata.name[start : data.draw(st.integers(start + 1, len(kata.name)))]
    assume(not part.startswith("test_"))
    having = [other for other in CURRICULUM.katas if part in other.key]
    if len(having) == 1 or part == kata.name:
        assert CURRICULUM.find(part) == kata
    elif part not in {other.name for other in CURRICULUM.katas}:
        with pytest.raises(UnknownKata, match=f"fits {len(having)} katas"):
            CURRICULUM.find(part)
    above = data.draw(st.sampled_from(["", "./", "cnn-katas/", f"{ROOT.as_posix()}/", "C:\\x\\"]))
    for path in (kata.stub, kata.suite, kata.solution):
        shown = above + kata.shown(path)
        assert CURRICULUM.find(shown) == kata
        assert CURRICULUM.find(shown.replace("/", "\\")) == kata


# -- exported progress

TOY = Curriculum(Path(), {"01_toys": "Toys"}, (Kata(Path(), "01_toys", "x", "X"),))


def recorded(root: Path) -> dict[str, list]:
    """All rows of the progress file below `root`, in an order of their own."""
    with contextlib.closing(sqlite3.connect(root / FILE)) as db:
        rows = {"sources": db.execute("SELECT * FROM sources").fetchall()}
        for table, (columns, _) in moving.TABLES.items():
            rows[table] = db.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
    return {table: sorted(found, key=repr) for table, found in rows.items()}


def take_in(root: Path, path: Path) -> bool:
    """Whether the file was imported; if not, it was refused in one line."""
    options = argparse.Namespace(file=str(path), desk=False)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return moving.take_in(Curriculum(root, TOY.titles, ()), options) == 0
    except UsageError as error:
        refused = error
    assert one_line(refused), str(refused)
    return False


SOURCES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MOMENTS = st.floats(0, 4e9)
COUNTS = st.none() | st.integers(0, 99)
JUDGEMENTS = st.tuples(
    st.sampled_from(["x", "y", "é"]), SOURCES, SOURCES, MOMENTS, st.none() | MOMENTS,
    st.sampled_from(["green", "red", "blocked", "partial", "unfinished"]), COUNTS, COUNTS,
    st.none() | SOURCES, st.none() | SOURCES, st.none() | SOURCES,
)  # fmt: skip
HINTS = st.tuples(st.sampled_from(["x", "y"]), st.integers(1, 3), MOMENTS)
REVIEWS = st.tuples(
    st.sampled_from(["x", "y"]), MOMENTS, SOURCES, st.none() | MOMENTS,
    st.none() | st.sampled_from(moving.GRADES),
)  # fmt: skip


@st.composite
def exports(draw):
    """What `kata export` could have written."""
    data = {"format": moving.FORMAT, "schema": 2, "sources": {}}
    for table, rows in (("judgements", JUDGEMENTS), ("hints", HINTS), ("reviews", REVIEWS)):
        columns, same = moving.TABLES[table]
        data[table] = []
        key = operator.itemgetter(*(columns.index(name) for name in same))
        for row in map(list, draw(st.lists(rows, max_size=3, unique_by=key))):
            if "source" in columns:
                text = row[columns.index("source")]
                row[columns.index("source")] = content_hash(text)
                data["sources"][content_hash(text)] = text
            data[table].append(row)
    return data


ODD = st.sampled_from([
    None, True, "", "x\ny", "\ud800", "green", -1, 2**70, 1e300, -0.5, math.nan, math.inf, [], {},
    [None], {"a": "b"}, "0" * 64,
])  # fmt: skip


@st.composite
def mutated(draw):
    """An export in which one or two values were replaced, anywhere."""
    data = draw(exports())
    for _ in range(draw(st.integers(1, 2))):
        node, parent = data, None
        while isinstance(node, (dict, list)) and node:
            keys = sorted(node) if isinstance(node, dict) else range(len(node))
            parent, key = node, draw(st.sampled_from(list(keys)))
            node = node[key]
            if draw(st.booleans()) and draw(st.booleans()):
                break
        parent[key] = draw(ODD)
    return data


@pytest.fixture
def fresh_root(tmp_path):
    """Makes an empty project with a row of its own, for each case anew."""
    count = iter(range(10**9))

    def make() -> Path:
        root = tmp_path / str(next(count))
        (root / "katas" / "01_toys").mkdir(parents=True)
        store = open_store(root)
        store.db.execute("PRAGMA synchronous = OFF")
        store.take_hint("mine", 3)
        store.close()
        return root

    return make


@cases(30)
@given(data=exports())
def test_an_export_is_imported_once_and_comes_out_again(fresh_root, data):
    """All its rows beside those that were here; the second time adds nothing; export gives it."""
    root = fresh_root()
    path = root / "moved.json"
    path.write_text(json.dumps(data))
    before = recorded(root)
    assert take_in(root, path)
    once = recorded(root)
    assert take_in(root, path)
    assert recorded(root) == once
    for table in ("judgements", "hints", "reviews"):
        assert len(once[table]) == len(before[table]) + len(data[table])
        assert {tuple(row) for row in data[table]} <= set(once[table])
    out = root / "again.json"
    with contextlib.redirect_stdout(io.StringIO()):
        moving.export(Curriculum(root, {}, ()), argparse.Namespace(file=str(out)))
    other = fresh_root()
    assert take_in(other, out)
    assert recorded(other)["judgements"] == once["judgements"]


@cases(80)
@given(data=mutated())
def test_a_changed_export_loses_nothing_and_doubles_nothing(fresh_root, data):
    """It is imported, twice the same as once, or refused in one line and nothing is changed."""
    root = fresh_root()
    path = root / "moved.json"
    path.write_text(json.dumps(data))
    before = recorded(root)
    if take_in(root, path):
        once = recorded(root)
        assert take_in(root, path)
        assert recorded(root) == once
        assert all(set(before[table]) <= set(once[table]) for table in before)
    else:
        assert recorded(root) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@cases(40)
@given(content=st.one_of(
    st.binary(max_size=40), JSON.map(lambda value: json.dumps(value).encode()),
    st.just(b"[" * 100_000),
    JSON.map(lambda v: json.dumps({"format": moving.FORMAT, "schema": 1, "sources": v}).encode()),
))  # fmt: skip
def test_any_file_is_imported_or_refused_in_one_line(fresh_root, content):
    """Bytes, any JSON, nesting without end: what is recorded here stays."""
    root = fresh_root()
    path = root / "moved.json"
    path.write_bytes(content)
    before = recorded(root)
    if not take_in(root, path):
        assert recorded(root) == before


# -- stubs

DEFAULTS = ["1", "-2.5", "None", "'a\\nb'", "(1, 2)", "[]", "{'k': 1}", "LIMIT", "math.pi", "..."]
TYPES = ["int", "'str'", "list[int] | None", "dict[str, tuple[int, ...]]", "math.inf", "KIND"]
DOCS = st.one_of(
    st.text("ab 'é\u2028\x0c\n\\{}#", max_size=30).map(repr),
    st.text("ab é\u2028\x0c\x1c\x85\n{}#", max_size=30).map('"""{}"""'.format),
)
DECORATORS = [
    "",
    "@typing.no_type_check\n",
    "@typing.dataclass_transform(\n    eq_default=True,\n)\n",
]
BODIES = [
    "return x_ + _helper(1)", "yield 1", "def inner():\n    return 1\nreturn inner",
    "# the secret\nreturn 1", "for _ in range(3):\n    pass\nreturn None", "pass",
    "@_decorated\ndef inner():\n    pass\nreturn inner()", "'''no doc\nstring'''.upper()",
]  # fmt: skip


def indented(text: str, by: str = "    ") -> str:
    return "".join(f"{by}{line}\n" for line in text.split("\n"))


@st.composite
def parameters(draw, first=""):
    """A parameter list of every kind that Python has."""
    names = iter("abcdefgh")

    def one(default: bool) -> str:
        kind = draw(st.sampled_from(["", *(f": {t}" for t in TYPES)]))
        value = f" = {draw(st.sampled_from(DEFAULTS))}" if default else ""
        return next(names) + kind + value

    parts = [first] if first else []
    plain, given_, keyword = (draw(st.integers(0, 2)) for _ in range(3))
    parts += [one(False) for _ in range(plain)]
    if (plain or first) and draw(st.booleans()):
        parts.append("/")
    parts += [one(True) for _ in range(given_)]
    star = draw(st.sampled_from(["", "*rest", "*"]))
    if star == "*rest" or (star and keyword):
        parts.append(star)
        parts += [one(draw(st.booleans())) for _ in range(keyword)]
    if draw(st.booleans()):
        parts.append("**more")
    if parts and draw(st.booleans()):  # as the formatter breaks a long one, with a remark inside
        return "\n    " + ",  # why\n    ".join(parts) + "\n"
    return ", ".join(parts)


@st.composite
def functions(draw, name, first=""):
    asynchronous = "async " if draw(st.booleans()) and name[0] != "_" and not first else ""
    result = draw(st.sampled_from(["", *(f" -> {t}" for t in TYPES)]))
    head = f"{asynchronous}def {name}({draw(parameters(first))}){result}:\n"
    doc = indented(draw(DOCS)) if draw(st.booleans()) else ""
    body = draw(st.sampled_from([b for b in BODIES if not (asynchronous and "yield" in b)]))
    if name == "__init__":
        body = "super().__init__()\nself.x = 1" if draw(st.booleans()) else "self.x = 1"
    decorator = draw(st.sampled_from(DECORATORS)) if not first else ""
    return decorator + head + doc + indented(body)


@st.composite
def classes(draw, name):
    methods = ["__init__", *(["forward"] if draw(st.booleans()) else [])]
    text = f"class {name}:\n" + (indented(draw(DOCS)) if draw(st.booleans()) else "")
    text += draw(st.sampled_from(["", "    WIDTH = 3\n", "    WIDTH: int = 3\n    _own = 1\n"]))
    for method in [*methods, "_inner"]:
        text += "\n" + indented(draw(functions(method, "self")).rstrip("\n"))
    return text


@st.composite
def solutions(draw):
    """A solution file with every kind of definition, and HINTS at its end."""
    parts = [
        '"""Title."""', draw(st.sampled_from(["", "from __future__ import annotations"])),
        "import math\nimport typing", "from dojo import right, wrong",
        "LIMIT = 5\nKIND = int\n_SECRET = 3\n_A, _B = 1, 2\n_C: int = 4",
        "def _helper(x):\n    return x + _SECRET",
    ]  # fmt: skip
    for place, kind in enumerate(draw(st.lists(st.sampled_from("fc_"), min_size=1, max_size=4))):
        name = {"f": f"make{place}", "c": f"Thing{place}", "_": f"_own{place}"}[kind]
        parts.append(draw(classes(name) if kind == "c" else functions(name)))
    parts += ["HINTS = ['a', 'b', 'c']", "@right(make)\ndef other():\n    return _SECRET"]
    return "\n\n\n".join(part for part in parts if part)


def run_as_module(text: str) -> dict:
    names: dict = {"__name__": "answer"}
    exec(compile(text, "answer.py", "exec", dont_inherit=True), names)
    return names


def called(function, skip: int = 0) -> None:
    """Call it with something for every parameter that must be given."""
    args, kwargs = [], {}
    for parameter in list(inspect.signature(function).parameters.values())[skip:]:
        if parameter.default is parameter.empty:
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                args.append(None)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = None
    result = function(*[None] * skip, *args, **kwargs)
    if inspect.isawaitable(result):
        asyncio.run(result)


@cases(120)
@given(text=solutions())
def test_a_stub_has_the_signatures_and_docstrings_of_its_solution(tmp_path_factory, text):
    """It compiles, imports, hides what is private, and every call ends in NotImplementedError."""
    kata = Kata(tmp_path_factory.getbasetemp(), "01_toys", "thing", "Thing")
    kata.solution.parent.mkdir(parents=True, exist_ok=True)
    kata.solution.write_text(text, encoding="utf-8")
    stub = stub_text(kata)
    assert "secret" not in stub.lower()
    answer, learner = run_as_module(text.partition("HINTS =")[0]), run_as_module(stub)
    assert not [name for name in learner if name.startswith("_") and not name.startswith("__")]
    assert learner["LIMIT"] == 5
    for name in public_names(kata):
        ours, theirs = answer[name], learner[name]
        assert inspect.signature(ours) == inspect.signature(theirs) or same_text(ours, theirs)
        assert ours.__doc__ == theirs.__doc__
        with pytest.raises(NotImplementedError, match=r"^thing$"):
            called(theirs)
        if inspect.isclass(theirs) and hasattr(theirs, "forward"):
            assert same_text(ours.forward, theirs.forward)
            assert ours.forward.__doc__ == theirs.forward.__doc__
            with pytest.raises(NotImplementedError, match=r"^thing$"):
                called(theirs.forward, skip=1)


def same_text(one, other) -> bool:
    return str(inspect.signature(one)) == str(inspect.signature(other))


# -- whatever an answer returns


class Raises:
    """An object of an answer's own that answers no question."""

    def _refuse(self, *args):
        raise RuntimeError("ask me\nnothing")

    __eq__ = __ne__ = __bool__ = __repr__ = __str__ = __len__ = __iter__ = __getitem__ = _refuse
    __getattr__ = __lt__ = __add__ = __sub__ = __rsub__ = __float__ = __int__ = _refuse
    __hash__ = None


class Unsaid(Exception):
    def __str__(self):
        raise RuntimeError("no text either")


def itself() -> list:
    value: list = [1.0]
    value.append(value)
    return value


def tangled() -> list:
    """One list in another twice, sixty times: 2**60 cells to whoever walks it."""
    value: list = [1]
    for _ in range(60):
        value = [value, value]
    return value


def nested() -> list:
    value: list = []
    for _ in range(5000):
        value = [value]
    return value


def boxed(value) -> np.ndarray:
    box = np.empty(1, dtype=object)
    box[0] = value
    return box


class Odd(np.ndarray):
    """A subclass whose cells cannot be looked at."""

    def __array_finalize__(self, other):
        return None

    def astype(self, *args, **kwargs):
        raise RuntimeError("no cells")


MAKERS = [
    Raises, Unsaid, itself, tangled, nested, object, lambda: None, lambda: Raises, dict, set,
    lambda: {"a": itself()}, lambda: {1: tangled()}, lambda: 10**6000, lambda: -(2**64),
    lambda: float("nan"), lambda: float("-inf"), lambda: True, lambda: 1j, lambda: "a\nb" * 99,
    lambda: "", lambda: b"\xff", lambda: np.bool_(True), lambda: np.float16(3),
    lambda: np.str_("a\nb"),
    lambda: boxed(Raises()), lambda: boxed(itself()), lambda: boxed(Raises()).reshape(()),
    lambda: np.array([[1, 2], [3, 4]], dtype=object), lambda: np.array(["a", "b"]),
    lambda: np.array([[1, 2], [3, 5]], dtype=complex), lambda: np.full((2, 2), np.nan),
    lambda: np.zeros((0, 2)), lambda: np.array([[np.inf, 1], [2, 3]]),
    lambda: np.zeros((2, 2), bool), lambda: np.zeros((2, 2)).view(Odd),
    lambda: np.ma.masked_all((2, 2)), lambda: np.zeros(2, "i4,f8"),
    lambda: np.array(["2020-01-01"], "datetime64[D]"), lambda: np.longdouble(1),
    lambda: torch.zeros(2, 2, device="meta"), lambda: torch.zeros((), device="meta"),
    lambda: torch.eye(2).to_sparse(), lambda: torch.eye(2).to_sparse_csr(),
    lambda: torch.ones(2, 2, requires_grad=True), lambda: torch.ones(2, 2, dtype=torch.bfloat16),
    lambda: torch.full((2, 2), 1j).conj(), lambda: torch.full((2, 2), 1j).conj().imag,
    lambda: torch.zeros(0, 2), lambda: torch.ones(2, 2, dtype=torch.bool),
    lambda: torch.tensor(3),
    lambda: torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.quint8),
    lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    lambda: torch.nn.Linear(2, 2),
    lambda: torch.ones(2, 2).expand(3, 2, 2), lambda: torch.float32, lambda: range(3),
    lambda: (value for value in [1]), lambda: ValueError("x"),
]  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(MAKERS).map(lambda make: make())
    | st.integers() | st.floats() | st.text(max_size=5) | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=2).map(tuple)
    | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
EXPECTED = st.sampled_from([
    np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1, 2], [3, 4]]), torch.eye(2), np.float64(1.0),
    torch.eye(2, dtype=torch.bool), torch.eye(2, dtype=torch.bfloat16), torch.tensor(3),
    np.array([[1, 2], [3, 4]], dtype=complex), torch.full((2, 2), 2j), np.zeros((0, 2)),
])  # fmt: skip
PLAIN = st.sampled_from([1, 1.5, True, "a", None, (1, 2.0), [1.0, [2.0]], ("a", (1, "b")), [], ()])


def ends_well(call, *args, **kwargs) -> Red | None:
    """The check passes, or is red with a first line of text; never anything else, and soon."""
    began = time.process_time()
    red = None
    try:
        call(*args, **kwargs)
    except Red as error:
        red = error
    assert red is None or len(red.message.strip().splitlines()) == 1
    assert time.process_time() - began < 2
    return red


@cases(250)
@given(value=VALUES, expected=EXPECTED, plain=PLAIN)
def test_a_check_ends_in_a_pass_or_in_one_clear_line(value, expected, plain):
    """same, same_value, expect, refuses and describe, on whatever an answer returns."""
    reds = [
        ends_well(checks.same, value, expected),
        ends_well(checks.same_value, value, plain, tolerance=0.1),
        ends_well(checks.expect, value, "the rule", value),
        ends_well(checks.refuses, lambda: value, because="a reason"),
    ]
    assert len(describe(value)) < 2000
    for red in reds:
        if red is not None:
            assert diagnose.alike(red.observed, value) in (True, False)


@cases(250)
@given(one=VALUES, other=VALUES)
def test_the_diagnosis_compares_anything_with_anything(one, other):
    """True or False, soon, and the same both ways round for what is equal."""
    began = time.process_time()
    for left, right in ((one, other), (other, one), (one, one), (one, {"a": [one, other]})):
        assert diagnose.alike(left, right) in (True, False)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("make", MAKERS)
def test_every_odd_value_is_met(make):
    """Each of the list above, alone and in a list, against every kind that is expected."""
    for value in (make(), [make(), 1]):
        for expected in (np.eye(2), torch.eye(2), make()):
            assert diagnose.alike(value, expected) in (True, False)
            if isinstance(expected, (np.ndarray, torch.Tensor)):
                break
        for expected in (np.eye(2), np.eye(2, dtype=complex), torch.eye(2), torch.eye(2) > 0):
            ends_well(checks.same, value, expected)
        ends_well(checks.same_value, value, 1.5)
        ends_well(checks.expect, value, "the rule")
        ends_well(checks.refuses, lambda value=value: value, because="a reason")


def test_lists_that_hold_themselves_are_alike_where_their_cells_are():
    """Also when one list stands in another many times."""
    assert diagnose.alike(itself(), itself())
    assert diagnose.alike(tangled(), tangled())
    other = copy.deepcopy(itself())
    other[0] = 2.0
    assert not diagnose.alike(itself(), other)


def raising(error):
    raise error


@pytest.mark.parametrize("error", [Unsaid(), KeyError("a\nb"), RuntimeError(), TypeError(Raises)])
def test_an_exception_without_a_text_is_told_by_its_name(error):
    """Where a refusal was wanted, and where str() of the exception raises itself."""
    red = ends_well(checks.refuses, raising, error, because="a reason")
    assert red is not None
    assert type(error).__name__ in red.message


@pytest.mark.parametrize("error", [
    Unsaid(), KeyError("a\nb"), RuntimeError(), TypeError(Raises), ValueError(itself()),
    NotImplementedError(Raises()), MemoryError(), OSError(27, "x"), RecursionError(),
    pytest.fail.Exception("Timeout"), SyntaxError("x", ("f", None, None, None)), ExceptionGroup(
        "two\nlines", [Unsaid()]), AssertionError("\n"), Red("x", Raises()), UnicodeError("\ud800"),
])  # fmt: skip
def test_whatever_an_answer_raises_is_told(error):
    """One line of text, in time; what it observed can be compared."""
    kata = CURRICULUM.katas[0]
    result = Result("test_x")
    began = time.process_time()
    explain(error, kata, str(kata.stub), result)
    assert result.outcome == FAILED
    assert len(result.message.strip().splitlines()) == 1
    assert diagnose.alike(result.observed, result.observed) in (True, False)
    assert time.process_time() - began < 2
