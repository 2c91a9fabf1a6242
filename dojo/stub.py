"""Stubs: what is left of a solution file when bodies, hints and variants are taken out."""

from __future__ import annotations

import ast

from dojo.curriculum import Kata

Function = ast.FunctionDef | ast.AsyncFunctionDef


WITHOUT = "without it there are no hints, pictures, diagnosis and fresh stubs"


class StubError(Exception):
    """A solution file that no stub can be made from; the text is one clear line."""


def parse(kata: Kata) -> tuple[str, ast.Module]:
    """Source and tree of a solution file."""
    shown = kata.shown(kata.solution)
    try:
        source = kata.solution.read_text(encoding="utf-8")
        return source, ast.parse(source)
    except FileNotFoundError:
        raise StubError(f"{shown} is missing: {WITHOUT}") from None
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise StubError(f"{shown} cannot be read: {error}") from None


def answer_nodes(tree: ast.Module) -> list[ast.stmt]:
    """The reference answer: everything above HINTS."""
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HINTS":
            return tree.body[:place]
    raise StubError("it has no HINTS = [...], which end the answer")


def answer_text(kata: Kata) -> str:
    """The reference answer as a learner may read it: without hints and variants."""
    source, tree = parse(kata)
    nodes = _without_tooling(answer_nodes(tree), tree)
    return _join(source, [(node, _segment(source, node)) for node in nodes])


def stub_text(kata: Kata) -> str:
    """The stub that belongs to the kata's solution file."""
    source, tree = parse(kata)
    try:
        nodes = _without_tooling(answer_nodes(tree), tree)
        public = [node for node in nodes if not _is_private(node)]
        return _join(source, [(node, _left_of(source, node, kata.name)) for node in public])
    except StubError as error:
        raise StubError(f"{kata.shown(kata.solution)}: {error}") from None


def _left_of(source: str, node: ast.stmt, kata: str) -> str:
    if isinstance(node, Function):
        return _stubbed(source, node, kata)
    if isinstance(node, ast.ClassDef) and any(isinstance(n, Function) for n in node.body):
        return _stubbed_class(source, node, kata)
    return _segment(source, node)


def public_names(kata: Kata) -> list[str]:
    """The functions and classes that the learner builds."""
    nodes = answer_nodes(parse(kata)[1])
    built = [n for n in nodes if isinstance(n, Function | ast.ClassDef)]
    return [node.name for node in built if not _is_private(node)]


def _without_tooling(nodes: list[ast.stmt], tree: ast.Module) -> list[ast.stmt]:
    """Without imports of the tooling and of what only hints and variants use."""
    used = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
    kept = []
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dojo":
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {(a.asname or a.name).split(".")[0] for a in node.names}
            if not names & used and getattr(node, "module", "") != "__future__":
                continue
        kept.append(node)
    return kept


def _is_private(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        return bool(names) and all(name.startswith("_") for name in names)
    return getattr(node, "name", "").startswith("_")


def _segment(source: str, node: ast.stmt, last: int | None = None) -> str:
    """The lines of `node`, from its decorators to its end or to line `last`."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return "\n".join(source.split("\n")[first - 1 : last or node.end_lineno])


def _stubbed(source: str, node: Function, kata: str) -> str:
    head = _segment(source, node, _head_end(source, node))
    indent = " " * (node.col_offset + 4)
    super_call = next((n for n in node.body if ast.unparse(n) == "super().__init__()"), None)
    first = node.body[0]
    line = source.split("\n")[first.lineno - 1]
    if line.encode()[: first.col_offset].strip():
        raise StubError(f"the body of {node.name} must begin on a line of its own")
    lines = [head] + ([f"{indent}super().__init__()"] if super_call else [])
    return "\n".join([*lines, f'{indent}raise NotImplementedError("{kata}")'])


def _head_end(source: str, node: Function | ast.ClassDef) -> int:
    """The last line of the signature, or of the docstring if there is one.

    A remark below it belongs to the body: it may well tell the answer.
    """
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        return first.end_lineno or first.lineno
    last = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", []))]) - 1
    lines = source.split("\n")
    while lines[last - 1].strip() == "" or lines[last - 1].lstrip().startswith("#"):
        last -= 1
    return last


def _stubbed_class(source: str, node: ast.ClassDef, kata: str) -> str:
    parts = [_segment(source, node, _head_end(source, node))]
    for inner in node.body[1 if ast.get_docstring(node) is not None else 0 :]:
        if isinstance(inner, Function) and inner.name in ("__init__", "forward"):
            parts.append(_stubbed(source, inner, kata))
        elif not isinstance(inner, Function) and not _is_private(inner):
            parts.append(_segment(source, inner))
    if len(parts) == 1 and ast.get_docstring(node) is None:
        raise StubError(f"class {node.name} has no docstring, no __init__ and no forward: "
                        "nothing of it is left for a stub")  # fmt: skip
    return "\n\n".join(parts)


def _join(source: str, parts: list[tuple[ast.stmt, str]]) -> str:
    """Parts with the blank lines between them that the formatter wants."""
    text = ""
    before: ast.stmt | None = None
    for node, part in parts:
        if before is not None:
            text += "\n" * (1 + _blank_lines(source, before, node))
        text += part
        before = node
    return text + "\n"


def _blank_lines(source: str, before: ast.stmt, node: ast.stmt) -> int:
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if isinstance(before, defined) or isinstance(node, defined):
        return 2
    imports = (ast.Import, ast.ImportFrom)
    if isinstance(before, imports) and isinstance(node, imports):
        lines = source.split("\n")[before.end_lineno or 0 : node.lineno - 1]
        return int(any(not line.strip() for line in lines))
    return 1
