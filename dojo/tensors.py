"""Checking helpers for suites that need torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dojo.checks import same
from dojo.explain import Red

__all__ = ["calls_none_of", "model_left_alone", "normal", "same_gradients", "same_state"]


def normal(rng: np.random.Generator, *shape: int, dtype: torch.dtype = torch.float32):
    """A tensor of fresh standard normal numbers: no two alike, none symmetric."""
    return torch.from_numpy(rng.standard_normal(shape)).to(dtype)


def warm_up() -> None:
    """Let torch set up its convolutions, as it does at the first of a process: 30 ms."""
    torch.set_num_threads(1)  # threads started here would not live in a fork
    x, weight = (torch.ones(4, 2, *size, requires_grad=True) for size in ((5, 9), (1, 5)))
    # of the forms tried, this one went to oneDNN, whose start it is that takes the time
    maps = torch.nn.functional.conv2d(x, weight, stride=(1, 2), padding=(2, 0))
    torch.nn.functional.max_pool2d(maps, 2).sum().backward()


class _Watch(TorchDispatchMode):
    """Collects the names of all operators that reach torch's dispatcher."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch's default imports its whole compiler on first use: 2 seconds."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def calls_none_of(words: tuple[str, ...], why: str, call: Callable, *args, **kwargs) -> Any:
    """Make the call and watch torch: no operator whose name holds one of `words` may run.

    `why` says what the answer should do instead. Returns what the call returned.
    """
    with _Watch() as watch:
        result = call(*args, **kwargs)
    for name in watch.seen:
        if any(word in name for word in words):
            raise Red(f"the answer calls torch's own {name.removeprefix('aten::')}: {why}")
    return result


def same_gradients(
    call: Callable, oracle: Callable, inputs: dict[str, torch.Tensor], tolerance: float = 1e-6
) -> None:
    """The gradients that flow back from `call(**inputs)` equal those of `oracle`, in float64."""
    leaves = {name: value.detach().double().requires_grad_() for name, value in inputs.items()}
    twins = {name: value.detach().double().requires_grad_() for name, value in inputs.items()}
    expected = oracle(**twins)
    weights = torch.linspace(-1.0, 2.0, expected.numel(), dtype=torch.float64)
    weights = weights.reshape(expected.shape).cos()
    (expected * weights).sum().backward()
    got = call(**leaves)
    same(got, expected)
    if not got.requires_grad:
        raise Red("the result has no gradient: the graph is cut", ("graph", "cut"))
    (got * weights).sum().backward()
    for name, leaf in leaves.items():
        if leaf.grad is None:
            raise Red(f"no gradient reaches {name}: the graph is cut on its way", ("graph", name))
        same(leaf.grad, twins[name].grad, tolerance=tolerance, what=f"gradient of {name}")


def _model_state(model: torch.nn.Module) -> dict[tuple[str, str], Any]:
    """By kind and place, as ("weight", "model.fc.bias")."""
    state: dict[tuple[str, str], Any] = {}
    for name, module in model.named_modules():
        at = f"model.{name}" if name else "model"
        state["mode", at] = module.training
        state["hooks", at] = [list(v) for k, v in vars(module).items() if k.endswith("_hooks")]
        if type(module).__module__.startswith("torch.nn."):  # others may count their calls
            state["settings", at] = _settings(module)
    for name, value in model.named_parameters():
        at = f"model.{name}"
        state["weight", at] = (id(value), value.detach().clone())
        state["requires_grad", at] = value.requires_grad
        state[".grad", at] = None if value.grad is None else value.grad.clone()
    for name, buffer in model.named_buffers():
        state["buffer", f"model.{name}"] = (id(buffer), buffer.clone())
    return state


def _settings(module: torch.nn.Module) -> dict[str, str]:
    """What a layer was built with (p, momentum ...), and whatever else was hung on it."""
    own = {k: v for k, v in vars(module).items() if not k.startswith("_") and k != "training"}
    plain = (int, float, str, tuple, type(None))
    return {k: repr(v) if isinstance(v, plain) else type(v).__name__ for k, v in own.items()}


def _alike(before: Any, after: Any) -> bool:
    if isinstance(before, tuple) and isinstance(after, tuple):
        return len(before) == len(after) and all(map(_alike, before, after))
    if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            return False
        return bool(((before == after) | ((before != before) & (after != after))).all())
    return type(before) is type(after) and before == after


@contextmanager
def model_left_alone(model: torch.nn.Module, *, but: tuple[str, ...] = ()) -> Iterator[None]:
    """Modes, hooks, weights, buffers, requires_grad and .grad are as before, whatever happens.

    `but` names the kinds that may change: "mode", "hooks", "settings", "weight",
    "requires_grad", ".grad", "buffer".
    """
    before = _model_state(model)
    try:
        yield
    finally:
        after = _model_state(model)
        changed = [
            f"{kind} of {at}"
            for kind, at in before | after
            if kind not in but and not _alike(before.get((kind, at)), after.get((kind, at)))
        ]
        if changed:
            more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
            message = f"changed by the call: the {changed[0]}{more}"
            raise Red(message, ("changed", changed))


def own_work(model: torch.nn.Module, library: str = "torchvision") -> None:
    """Neither the model nor a part of it is a class of `library`, or one that inherits from it."""
    kinds = {kind for module in model.modules() for kind in type(module).__mro__}
    named = sorted(kind.__name__ for kind in kinds if kind.__module__.startswith(library))
    if named:
        told = f"{', '.join(named)} of {library} inside: build it yourself"
        raise Red(told, ("own work", named))


def same_state(model: torch.nn.Module, wanted: dict[str, tuple[int, ...]], who: str) -> None:
    """The state_dict of `model` has these names and shapes and no others; `who` says whose."""
    got = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    told = [
        f"{name} is {got[name]}, expected {shape}"
        for name, shape in wanted.items()
        if got.get(name, shape) != shape
    ]
    told += [f"{name} is missing" for name in wanted if name not in got]
    told += [f"{name} is not wanted" for name in got if name not in wanted]
    if told:
        more = f", and {len(told) - 3} more" if len(told) > 3 else ""
        raise Red(f"{who}: {'; '.join(told[:3])}{more}", ("state", who, told))
