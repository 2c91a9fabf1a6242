"""Ask a network without changing it: classes out, and everything as it was before."""

import contextlib
import copy

import torch
from torch import Tensor, nn

from dojo import right, wrong


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Say which class the model gives each image, and leave no trace in the model.

    Dropout and batch norm answer differently while they train: the question is put in eval,
    so that an answer does not hang on chance or on the other images of the batch. Each
    submodule may have had a mode of its own (a frozen batch norm in a training network, say),
    and gets that one back, also when the model raises an exception. While it is asked no
    graph is recorded, and afterwards autograd is as the caller had it.

    Shapes:
        model: gives logits (N, C) for x
        x: (N, ...), one image or more
        returns: (N,) int64, the index of the largest logit of each image

    Example:
        >>> model = nn.Linear(2, 3, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, -1]]))
        >>> predict(model, torch.tensor([[2.0, 5.0], [3.0, 1.0]]))
        tensor([1, 0])

    Raises:
        whatever the model raises.

    Source: PyTorch documentation, Autograd mechanics, section "Evaluation Mode".
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            return model(x).argmax(dim=1)
    finally:
        for module, mode in modes.items():
            module.training = mode


HINTS = [
    "What differs between eval() and no_grad()? Which of the two keeps a batch norm from "
    "learning from the images you ask about? And what does model.train() do to a submodule "
    "that was in eval before?",
    "Write down module.training of every module in model.modules() before you switch to eval, "
    "and put it back in a finally. The classes lie along axis 1.",
    "modes = {m: m.training for m in model.modules()}; model.eval(); then try: with "
    "torch.no_grad(): return model(x).argmax(dim=1); finally: for m, mode in modes.items(): "
    "m.training = mode. m.train(mode) would set m's children as well.",
]


@right(predict)
def of_a_copy(model, x):
    """A deep copy is asked: the model itself is never touched."""
    with torch.inference_mode():
        answers = copy.deepcopy(model).eval()(x).max(1).indices
    return answers.clone()


@right(predict)
def one_image_at_a_time(model, x):
    """Single images, modes set by train(mode) from the leaves' parents downwards."""
    before = [(module, module.training) for module in model.modules()]
    enabled = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        model.train(False)
        return torch.cat([model(image[None]).topk(1).indices[:, 0] for image in x])
    finally:
        torch.set_grad_enabled(enabled)
        for module, mode in before:  # parents come first, so that children have the last word
            module.train(mode)


@contextlib.contextmanager
def _asked_only(model):
    with contextlib.ExitStack() as stack:
        for module in model.modules():
            stack.callback(setattr, module, "training", module.training)
        yield model.eval()


@right(predict)
def by_context_manager(model, x):
    """What is to be put back is told to a stack; probabilities have the same largest one."""
    with _asked_only(model) as asked, torch.no_grad():
        return asked(x).log_softmax(1).argmax(1)


def _own_modes(module, modes):
    modes.setdefault(module, module.training)
    for child in module.children():
        _own_modes(child, modes)
    return modes


@right(predict)
@torch.inference_mode()
def as_plain_numbers(model, x):
    """A walk down the tree, and one row of logits after the other as a list."""
    modes = _own_modes(model, {})
    try:
        for module in modes:
            module.training = False
        rows = model(x).tolist()
    finally:
        while modes:
            module, mode = modes.popitem()
            module.training = mode
    return torch.tensor([max(range(len(row)), key=row.__getitem__) for row in rows])


def _asked(model, x):
    with torch.no_grad():
        return model(x).argmax(1)


@wrong(predict)
def train_afterwards(model, x):
    """model.train() afterwards: a model or submodule that was in eval is in train now"""
    model.eval()
    try:
        return _asked(model, x)
    finally:
        model.train()


@wrong(predict)
def mode_of_the_root(model, x):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    model.eval()
    try:
        return _asked(model, x)
    finally:
        model.train(mode)


@wrong(predict)
def only_the_root_asked(model, x):
    """only the root's mode is asked: where it is in eval, a submodule in train stays there"""
    return _asked(model, x) if not model.training else predict(model, x)


@wrong(predict)
def only_the_root_restored(model, x):
    """only the root gets its mode back: its submodules are left in eval"""
    mode = model.training
    model.eval()
    try:
        return _asked(model, x)
    finally:
        model.training = mode


@wrong(predict)
def left_in_eval(model, x):
    """the model is left in eval"""
    model.eval()
    return _asked(model, x)


@wrong(predict)
def restored_without_finally(model, x):
    """the modes come back only if all goes well: after an exception the model is left in eval"""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    answers = _asked(model, x)
    for module, mode in modes.items():
        module.training = mode
    return answers


@wrong(predict)
def only_no_grad(model, x):
    """only no_grad, no eval: dropout drops, and batch norm learns from the question"""
    return _asked(model, x)


@wrong(predict)
def only_eval(model, x):
    """only eval, no no_grad: a graph is recorded while the model is asked"""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        return model(x).argmax(1)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _careful(model, x, last):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            return last(model(x))
    finally:
        for module, mode in modes.items():
            module.training = mode


@wrong(predict)
def autograd_left_off(model, x):
    """autograd is switched off and not on again: the caller trains no more"""
    torch.set_grad_enabled(False)
    return _careful(model, x, lambda logits: logits.argmax(1))


@wrong(predict)
def autograd_switched_on(model, x):
    """autograd is switched on afterwards, though the caller had it off"""
    answers = _careful(model, x, lambda logits: logits.argmax(1))
    torch.set_grad_enabled(True)
    return answers


@wrong(predict)
def squeezed(model, x):
    """squeeze takes the batch axis away where there is one image"""
    return _careful(model, x, lambda logits: logits.argmax(1).squeeze())


@wrong(predict)
def squeezed_before(model, x):
    """squeeze on the logits: one image or one class loses its axis"""
    return _careful(model, x, lambda logits: logits.squeeze().argmax(-1))


@wrong(predict)
def three_axes_are_one_image(model, x):
    """x with three axes is taken for one single image, though axis 0 always counts the images"""
    return predict(model, x.unsqueeze(0) if x.dim() == 3 else x)


@wrong(predict)
def along_the_batch(model, x):
    """the largest along the batch axis: one image for each class, not one class for each image"""
    return _careful(model, x, lambda logits: logits.argmax(0))


@wrong(predict)
def of_all_logits(model, x):
    """one index for the whole batch: argmax without an axis"""
    return _careful(model, x, lambda logits: logits.argmax())


@wrong(predict)
def largest_logit(model, x):
    """the largest logits themselves, not their indices"""
    return _careful(model, x, lambda logits: logits.amax(1))


@wrong(predict)
def smallest(model, x):
    """the class with the smallest logit"""
    return _careful(model, x, lambda logits: logits.argmin(1))


@wrong(predict)
def by_magnitude(model, x):
    """the logit with the largest magnitude, also if it is negative"""
    return _careful(model, x, lambda logits: logits.abs().argmax(1))


@wrong(predict)
def keeps_the_axis(model, x):
    """the class axis is kept: (N, 1)"""
    return _careful(model, x, lambda logits: logits.argmax(1, keepdim=True))


@wrong(predict)
def probabilities(model, x):
    """probabilities of all classes, not the class"""
    return _careful(model, x, lambda logits: logits.softmax(1))


@wrong(predict)
def as_floats(model, x):
    """the indices are floats"""
    return _careful(model, x, lambda logits: logits.argmax(1).float())


@wrong(predict)
def as_a_list(model, x):
    """a list, not a tensor"""
    return _careful(model, x, lambda logits: logits.argmax(1).tolist())


@wrong(predict)
def as_int32(model, x):
    """int32 indices: classes are int64, as torch's losses want them"""
    return _careful(model, x, lambda logits: logits.argmax(1).int())


@wrong(predict)
def freezes(model, x):
    """requires_grad is switched off for good: the model cannot be trained on"""
    model.requires_grad_(False)
    return _careful(model, x, lambda logits: logits.argmax(1))


@wrong(predict)
def clears_gradients(model, x):
    """the model's gradients are cleared"""
    model.zero_grad()
    return _careful(model, x, lambda logits: logits.argmax(1))
