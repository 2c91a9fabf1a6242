"""Watches over what an answer must not touch: its arguments, the suite's tools, the exit."""

from __future__ import annotations

import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from operator import is_, itemgetter
from types import ModuleType
from typing import Any

import numpy as np

from dojo.explain import Red, is_tensor, signature_of

# What suites and their oracles compute with. An answer that replaces one of these judges itself.
TOOLS = (
    "builtins", "math", "os", "pytest", "numpy", "numpy.testing", "numpy.linalg", "torch",
    "torch.autograd", "torch.linalg", "torch.nn", "torch.nn.functional", "torch.testing",
    "dojo.answers", "dojo.checks", "dojo.tensors", "dojo.explain", "dojo.guard",
)  # fmt: skip
USERS = (*(name for name in TOOLS if "." in name), "dojo.diagnose")  # they name what they use
COMPARES = re.compile("close|equal|^__")
CLASSES = (("torch", "Tensor"), ("torch.nn", "Module"), ("torch.nn", "Conv2d"))

WAYS_OUT = {
    "_exit": "instead of returning",
    "fork": "and doubled the process: an answer runs in one",
    "forkpty": "and doubled the process: an answer runs in one",
}


class ToolGuard:
    """Remembers the tools as they are now; `check` puts replaced ones back and says which.

    Of thousands it watches those that compare, and those that suites, helpers or layers use.
    """

    def __init__(self) -> None:
        self.tools: dict[str, tuple[Any, dict[str, Any]]] = {}  # as they were when first seen
        self.watched: list[tuple[Any, Callable[[Any], tuple], list[Any]]] = []
        self.used: set[str] = set()
        self.read: set[int] = set()

    def remember(self, suite: ModuleType) -> None:
        owners: dict[str, Any] = {n: sys.modules[n] for n in TOOLS if n in sys.modules}
        for module, name in CLASSES:
            if module in sys.modules:
                owners[f"{module}.{name}"] = getattr(sys.modules[module], name)
        users = [sys.modules[n] for n in USERS if n in sys.modules] + [suite]
        if owners.keys() == self.tools.keys() and self.read.issuperset(map(id, users)):
            return
        for user in users:
            self.used |= _names_in(user)
        self.read.update(map(id, users))
        self.watched = []
        for name, owner in owners.items():
            if name not in self.tools:
                self.tools[name] = owner, {k: v for k, v in vars(owner).items() if callable(v)}
            tools = self.tools[name][1]
            keys = [key for key in tools if key in self.used or COMPARES.search(key)]
            if keys:  # the first one twice: of a single name an itemgetter would give no tuple
                self.watched.append((owner, itemgetter(*keys, keys[0]), [tools[k] for k in keys]))

    def check(self) -> None:
        # after every test, hundreds of names: all of it in C
        with suppress(KeyError):
            if all(all(map(is_, get(vars(owner)), tools)) for owner, get, tools in self.watched):
                return
        replaced = []
        for name, (owner, tools) in self.tools.items():
            now = vars(owner)
            changed = [key for key, value in tools.items() if now.get(key) is not value]
            changed = [key for key in changed if not _torchs_own(now.get(key), tools[key])]
            for key in changed:
                replaced.append(f"{name}.{key}")
                setattr(owner, key, tools[key])
        if replaced:
            raise Red(f"the answer replaced {', '.join(replaced[:3])}: it may not touch the tools")


def _names_in(owner: Any) -> set[str]:
    """All names that the functions of a module look up, and those of its classes."""
    members = [*vars(owner).values()]
    for cls in filter(inspect.isclass, tuple(members)):
        members += vars(cls).values()
    names: set[str] = set()
    while members:
        member = members.pop()
        if inspect.iscode(member):
            names.update(member.co_names)
            members += member.co_consts
        elif inspect.isfunction(member):
            members += [member.__code__, member.__dict__.get("__wrapped__")]
        elif isinstance(member, (staticmethod, classmethod)):
            members.append(member.__func__)
    return names


def _torchs_own(tool: Any, before: Any) -> bool:
    """Torch's compiler, imported late by its optimisers, wraps a few of torch's functions."""
    code, torch = getattr(tool, "__code__", None), sys.modules.get("torch")
    if code is None or torch is None or getattr(tool, "__wrapped__", None) is not before:
        return False
    return code.co_filename.startswith(os.path.dirname(str(torch.__file__)))


@contextmanager
def no_way_out() -> Iterator[None]:
    """Ending or doubling the process, or closing its output, becomes a red.

    In other threads and in children the real functions work.
    """
    thread, process = threading.get_ident(), os.getpid()
    real = {name: getattr(os, name) for name in WAYS_OUT if hasattr(os, name)}

    def refusing(name: str) -> Callable:
        def refuse(*args: Any) -> Any:
            if threading.get_ident() != thread or os.getpid() != process:
                return real[name](*args)
            call = f"os.{name}({', '.join(map(str, args))})"
            raise Red(f"the answer called {call} {WAYS_OUT[name]}")

        return refuse

    put = {name: refusing(name) for name in real}
    vars(os).update(put)
    streams = {name: stream for name in ("stdout", "stderr") if (stream := getattr(sys, name))}
    for name, stream in streams.items():
        stream.close = _refuse_to_close(name)
    try:
        yield
    finally:
        vars(os).update({n: f for n, f in real.items() if vars(os)[n] is put[n]})
        for stream in streams.values():
            vars(stream).pop("close", None)
        _reopen_outputs()


def _refuse_to_close(name: str) -> Callable[[], None]:
    def refuse() -> None:
        raise Red(f"the answer closed sys.{name}: others still print to it")

    return refuse


def _reopen_outputs() -> None:
    closed = []
    for descriptor in (1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.append(descriptor)
            null = os.open(os.devnull, os.O_WRONLY)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    if closed:
        raise Red(f"the answer closed file descriptor {closed[0]}: others still print to it")


@contextmanager
def untouched_arguments(target: Callable, args: tuple, kwargs: dict) -> Iterator[None]:
    """Arrays, tensors and lists handed in are as before, also after an exception."""
    signature = signature_of(target)
    if signature is not None:
        handed = signature.bind(*args, **kwargs).arguments
    else:
        handed = {f"number {i}": value for i, value in enumerate(args)} | kwargs
    before = {name: _state(value) for name, value in handed.items()}
    try:
        yield
    finally:
        for name, state in before.items():
            if _state(handed[name]) != state:
                raise Red(
                    f"the answer changed its argument {name}: what is handed in stays as it is"
                )


def _state(value: Any) -> Any:
    """Something that differs as soon as `value` was changed in place."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    if is_tensor(value):
        return _tensor_state(value)
    if isinstance(value, (list, tuple)):
        return (type(value), [_state(item) for item in value])
    if isinstance(value, dict):
        return [(key, _state(item)) for key, item in value.items()]
    return id(value)


def _tensor_state(value: Any) -> Any:
    own: tuple = (tuple(value.shape), str(value.dtype), value.requires_grad)
    if value.is_leaf:
        own += (None if value.grad is None else _tensor_state(value.grad),)
    if value.device.type == "meta" or value.is_sparse:
        return (*own, value._version)
    plain = value.detach().cpu()
    if not plain.dtype.is_floating_point or plain.dtype.itemsize > 2:
        return (*own, plain.numpy().tobytes())
    return (*own, plain.float().numpy().tobytes())


@contextmanager
def same_grad_mode() -> Iterator[None]:
    """Autograd is on or off for the whole program: an answer gives it back as it was."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.is_grad_enabled()
    try:
        yield
    finally:
        after = torch.is_grad_enabled()
        torch.set_grad_enabled(before)
        if after != before:
            words = {True: "on", False: "off"}
            raise Red(
                f"autograd was {words[before]} before the call and is {words[after]} after it",
                ("autograd", after),
            )
