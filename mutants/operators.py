"""The changes: what a slip of the hand or of the mind makes of a line.

mutmut and cosmic-ray start a new interpreter for every change, three seconds each with torch,
and know no dropped keyword, no exchanged arguments and no call left out: the slips that
tensor code suffers from. So the list is our own, over the `ast` of the standard library.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
REACHED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}  # fmt: skip


SYMMETRIC = {"max", "min", "equal", "maximum", "minimum", "mse_loss", "result_type"}
WRAPPERS = {"tuple", "list"}  # whether a sequence is one or the other is free where it is not told


@dataclass(frozen=True)
class Mutant:
    """One change; `name` says where and which, without line numbers."""

    name: str
    text: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every change of an answer's text that is another program."""
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    names: dict[str, int] = {}
    for owner, path in _places(tree):
        for new in _changes(_at(tree, path)):
            changed = copy.deepcopy(tree)
            _put(changed, path, new)
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text in seen:
                continue
            seen.add(text)
            name = f"{owner}: {_told(tree, changed, path, new)}"
            names[name] = names.get(name, 0) + 1
            yield Mutant(name if names[name] == 1 else f"{name} ({names[name]})", text + "\n")


def _told(tree: ast.Module, changed: ast.Module, path: Path, new: object) -> str:
    """`old -> new`, with enough around it to find the place."""
    if isinstance(new, ast.Pass | list):
        head = ast.unparse(_at(tree, path)).partition("\n")[0]
        return f"{_short(head)} left out"
    while len(ast.unparse(_at(tree, path))) < ENOUGH and isinstance(_at(tree, path), ast.expr):
        path = path[:-1]
    old, now = (ast.unparse(_at(root, path)).partition("\n")[0] for root in (tree, changed))
    return f"{_short(old)} -> {_short(now)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 90 else text[:87] + "..."


Path = tuple[tuple[str, int | None], ...]
Change = ast.AST | list[ast.stmt]
ENOUGH = 12  # characters that tell a place


def _places(tree: ast.Module) -> Iterator[tuple[str, Path]]:
    """Every node that may be changed, and the name of the function or class it is in."""

    def walk(node: ast.AST, owner: str, path: Path) -> Iterator[tuple[str, Path]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            owner = f"{owner}.{node.name}".lstrip(".")
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "ctx", "bases", "names"):
                continue
            for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(child, ast.AST) or _is_no_behaviour(child):
                    continue
                where = (*path, (field, number))
                yield owner, where
                if not isinstance(child, ast.JoinedStr | ast.Raise):  # wording is no behaviour
                    yield from walk(child, owner, where)

    for owner, path in walk(tree, "", ()):
        if len(path) > 1 or isinstance(_at(tree, path), ast.Assign):
            yield owner, path


def _is_no_behaviour(node: ast.AST) -> bool:
    """A docstring, and zip's `strict`."""
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return True
    constant = node.value if isinstance(node, ast.Expr) else None
    return isinstance(constant, ast.Constant) and isinstance(constant.value, str)


def _at(node: ast.AST, path: Path) -> ast.AST:
    for field, number in path:
        value = getattr(node, field)
        node = value if number is None else value[number]
    return node


def _put(tree: ast.AST, path: Path, new: Change) -> None:
    (field, number), parent = path[-1], _at(tree, path[:-1])
    if number is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[number : number + 1] = new if isinstance(new, list) else [new]


def _changes(node: ast.AST) -> Iterator[Change]:
    """What this node may become."""
    make = globals().get(f"_of_{type(node).__name__.lower()}")
    if make is not None:
        yield from make(node)
    if isinstance(node, ast.AugAssign | ast.Expr | ast.Delete) or _assigns_again(node):
        yield ast.Pass()


def _assigns_again(node: ast.AST) -> bool:
    """Without a first assignment nothing runs: that is no slip that a suite must find."""
    if not isinstance(node, ast.Assign):
        return False
    target = node.targets[0]
    used = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return not isinstance(target, ast.Name) or target.id in used


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _of_compare(node: ast.Compare) -> Iterator[ast.AST]:
    for place, old in enumerate(node.ops):
        for other in COMPARED[type(old)]:
            ops = list(node.ops)
            ops[place] = other()
            yield _with(node, ops=ops)
    if len(node.ops) == 2:  # a < b < c: one half alone
        yield _with(node, ops=node.ops[:1], comparators=node.comparators[:1])
        yield _with(node, left=node.comparators[0], ops=node.ops[1:],
                    comparators=node.comparators[1:])  # fmt: skip


def _of_binop(node: ast.BinOp) -> Iterator[ast.AST]:
    if type(node.op) in REACHED:
        yield _with(node, op=REACHED[type(node.op)]())
        yield node.left
    if isinstance(node.op, ast.FloorDiv):
        up = ast.UnaryOp(ast.USub(), _with(node, left=ast.UnaryOp(ast.USub(), node.left)))
        yield up


def _of_augassign(node: ast.AugAssign) -> Iterator[ast.AST]:
    if type(node.op) in REACHED:
        yield _with(node, op=REACHED[type(node.op)]())
    yield ast.Assign([node.target], node.value)


def _of_unaryop(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _of_boolop(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    for place in range(len(node.values)):
        rest = node.values[:place] + node.values[place + 1 :]
        yield _with(node, values=rest) if len(rest) > 1 else rest[0]


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(2 * value + (value == 0))
        yield ast.Constant(value / 2 - (value == 0))


def _of_if(node: ast.If) -> Iterator[ast.AST]:
    yield _with(node, test=ast.Constant(False))
    yield _with(node, test=ast.Constant(True))


def _of_ifexp(node: ast.IfExp) -> Iterator[ast.AST]:
    yield node.body
    yield node.orelse


def _of_while(node: ast.While) -> Iterator[ast.AST]:
    yield _with(node, test=ast.Constant(False))


def _of_for(node: ast.For) -> Iterator[ast.AST]:
    yield _with(node, iter=ast.List([], ast.Load()))
    yield _with(node, body=[*node.body, ast.Break()])


def _of_comprehension(node: ast.comprehension) -> Iterator[ast.AST]:
    for place in range(len(node.ifs)):
        yield _with(node, ifs=node.ifs[:place] + node.ifs[place + 1 :])


def _of_with(node: ast.With) -> Iterator[Change]:
    yield list(node.body)


def _of_try(node: ast.Try) -> Iterator[Change]:
    yield [*node.body, *node.orelse]
    if not node.handlers:
        yield [*node.body, *node.orelse, *node.finalbody]  # only where nothing is raised


def _of_raise(node: ast.Raise) -> Iterator[ast.AST]:
    if isinstance(node.exc, ast.Call):
        other = "RuntimeError" if ast.unparse(node.exc.func) == "ValueError" else "ValueError"
        yield _with(node, exc=_with(node.exc, func=ast.Name(other, ast.Load())))


def _of_slice(node: ast.Slice) -> Iterator[ast.AST]:
    for part in ("lower", "upper", "step"):
        if getattr(node, part) is not None:
            yield _with(node, **{part: None})


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    for place, keyword in enumerate(node.keywords):
        if keyword.arg == "strict":  # of zip: guards the author, no input reaches it
            continue
        yield _with(node, keywords=node.keywords[:place] + node.keywords[place + 1 :])
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if len(node.args) > 1:
        if called not in SYMMETRIC:
            yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
        yield _with(node, args=node.args[:-1])
    if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
        yield node.func.value  # x.relu() becomes x
    elif isinstance(node.func, ast.Attribute) and not _of_a_module(node.func.value):
        yield node.func.value
    if node.args and called not in WRAPPERS and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]  # F.relu(x) becomes x


def _of_a_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("torch", "F", "nn", "np", "math", "self")


def _of_functiondef(node: ast.FunctionDef) -> Iterator[ast.AST]:
    for place in range(len(node.decorator_list)):
        yield _with(node, decorator_list=[d for n, d in enumerate(node.decorator_list)
                                          if n != place])  # fmt: skip
