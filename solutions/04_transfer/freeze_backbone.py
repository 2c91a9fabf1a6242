"""Freeze all but the head: the weights, and what batch norm remembers as well."""

import torch
from torch import nn

from dojo import right, wrong


def freeze_backbone(model: nn.Module, head: str) -> None:
    """Make everything outside the head stay exactly as it is, whatever training does.

    Two things move in training. Parameters move by their gradients, so those outside the head
    must not require one. Buffers move by themselves: in train mode a batch norm updates its
    running statistics and counts its batches with every forward, gradient or not, and a dropout
    drops. So whatever is outside the head has to work as in eval, also when somebody calls
    model.train() later; that call must still put all of the head into train mode, and the model
    itself.

    The head learns: all of its parameters require a gradient, also if they were frozen before.
    The model handed in is changed; nothing is returned. No weight and no buffer changes value,
    and none goes.

    Shapes:
        head: the name of a submodule, dotted where it lies deeper, as in "classifier.2"

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        >>> freeze_backbone(model, "1")
        >>> [p.requires_grad for p in model.parameters()]
        [False, False, True, True]
        >>> [m.training for m in model.train()]
        [False, True]

    Raises:
        ValueError: the model has no submodule of this name; then nothing is changed.

    Source: torch's notes on nn.Module.train and nn.BatchNorm2d; Kornblith, Shlens & Le, Do
        Better ImageNet Models Transfer Better?, arXiv:1805.08974, section 3.
    """
    modules = dict(model.named_modules())
    if not head or head not in modules:
        raise ValueError(f"the model has no submodule {head!r}: {', '.join(list(modules)[1:])}")
    model.requires_grad_(False)
    modules[head].requires_grad_(True)
    part_of_head = set(modules[head].modules())
    # those on the way to the head keep their own mode: they have to pass train() on
    on_the_way = {module for name, module in modules.items() if f"{head}.".startswith(f"{name}.")}
    for module in model.modules():
        if module not in part_of_head and module is not model and module not in on_the_way:
            module.train = _stay_asleep.__get__(module)
            module.train(True)


def _stay_asleep(self: nn.Module, mode: bool = True) -> nn.Module:
    """Takes the place of train() on a frozen module: eval, whatever is asked for."""
    return nn.Module.train(self, False)


HINTS = [
    "requires_grad_(False) stops what moves by gradients. What else moves while a batch norm "
    "runs in train mode? And what does model.train(), called at the start of each epoch, do to "
    "everything that you have put into eval?",
    "Freeze all, then wake the head: the order of declaration plays no part. For the modes give "
    "every module outside the head a train() of its own that ignores what is asked for. Methods "
    "can be set on one object.",
    "model.requires_grad_(False); head.requires_grad_(True). For each module outside the head, "
    "neither the model itself nor on the way to the head: module.eval(), then module.train = "
    "lambda mode=True, m=module: nn.Module.train(m, False).",
]


def _found(model, head):
    modules = dict(model.named_modules())
    if not head or head not in modules:
        raise ValueError(f"no submodule {head!r}")
    return modules[head]


def _asleep(model, head, stay):
    """Modes: each module outside the head for which `stay` holds keeps sleeping."""
    inside = set(head.modules())
    above = {m for m in model.modules() if head in set(m.modules())}
    for module in model.modules():
        if module not in inside and module not in above and stay(module):
            module.train = _stay_asleep.__get__(module)
            module.train(True)


@right(freeze_backbone)
def by_one_train(model, head):
    """Only the model gets a train() of its own, which puts all but the head back to sleep."""
    part = _found(model, head)
    inside = set(part.modules())
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parameter in part.parameters():
        parameter.requires_grad = True

    def train(mode=True):
        nn.Module.train(model, mode)
        for module in model.modules():
            if module is not model and module not in inside:
                module.training = False
        return model

    model.train = train
    train(model.training)


@right(freeze_backbone)
def by_class(model, head):
    """Frozen modules get a class of their own whose train() always means eval."""
    part = _found(model, head)
    inside = {id(m) for m in part.modules()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(f"{head}."))
    for module in model.modules():
        holds_head = any(other is part for other in module.modules())
        if id(module) not in inside and not holds_head:
            kind = type(module)
            module.__class__ = type(kind.__name__, (kind,), {"train": _stay_asleep})
            module.eval()


@right(freeze_backbone)
def by_hooks(model, head):
    """Just before each forward of the model all that is frozen is put back into eval."""
    part = _found(model, head)
    model.requires_grad_(False)
    part.requires_grad_(True)
    inside = set(part.modules())

    def sleep():
        for module in model.modules():
            if module is not model and module not in inside:
                module.training = False

    def train(mode=True):
        nn.Module.train(model, mode)
        sleep()
        return model

    model.register_forward_pre_hook(lambda *_: sleep())
    model.train = train
    sleep()


@right(freeze_backbone)
def by_hooks_alone(model, head):
    """train() stays as it is; each frozen module goes to sleep just before it runs."""
    part = _found(model, head)
    for parameter in set(model.parameters()) - set(part.parameters()):
        parameter.requires_grad_(False)
    part.requires_grad_(True)

    def sleep(module, _):
        module.training = False

    for module in model.modules():
        if part not in set(module.modules()) and module not in set(part.modules()):
            module.register_forward_pre_hook(sleep)


@wrong(freeze_backbone)
def statistics_drift(model, head):
    """running statistics drift: batch norms run in train mode, which needs no gradient"""
    part = _found(model, head)
    model.requires_grad_(False)
    part.requires_grad_(True)


@wrong(freeze_backbone)
def eval_once(model, head):
    """the backbone is put into eval once: the next model.train() wakes it"""
    part = _found(model, head)
    model.requires_grad_(False)
    part.requires_grad_(True)
    inside = set(part.modules())
    for module in model.modules():
        if module not in inside and module is not model:
            module.training = False


@wrong(freeze_backbone)
def attribute_only(model, head):
    """model.requires_grad = False sets an attribute that nobody reads: nothing is frozen"""
    part = _found(model, head)
    model.requires_grad = False
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def head_frozen_too(model, head):
    """the head is frozen with the rest: nothing learns"""
    part = _found(model, head)
    model.requires_grad_(False)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def head_left_as_it_was(model, head):
    """a head that was frozen before stays so: it is not woken"""
    part = _found(model, head)
    mine = set(part.parameters())
    for parameter in model.parameters():
        if parameter not in mine:
            parameter.requires_grad_(False)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def last_child_is_the_head(model, head):
    """the last child is taken for the head, wherever the head stands"""
    _found(model, head)
    part = list(model.children())[-1]
    model.requires_grad_(False)
    part.requires_grad_(True)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def last_two_parameters(model, head):
    """the last two parameters are taken for the head's: one of two layers is not woken"""
    part = _found(model, head)
    model.requires_grad_(False)
    for parameter in list(model.parameters())[-2:]:
        parameter.requires_grad_(True)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def used_up_iterator(model, head):
    """an iterator over the parameters is used up by the first loop: the second sees none"""
    part = _found(model, head)
    parameters = iter(model.parameters())
    sum(parameter.numel() for parameter in parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    part.requires_grad_(True)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def names_that_begin_alike(model, head):
    """every name that begins like the head's counts as head: fc2 with fc"""
    part = _found(model, head)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(head))
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def weights_only(model, head):
    """only weights are frozen: biases go on learning"""
    part = _found(model, head)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.endswith("weight"))
    part.requires_grad_(True)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def norms_not_frozen(model, head):
    """the batch norms' own weights and biases go on learning"""
    part = _found(model, head)
    freeze_backbone(model, head)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.requires_grad_(True)
    part.requires_grad_(True)


@wrong(freeze_backbone)
def own_parameters_forgotten(model, head):
    """parameters that the model holds itself, in no child, go on learning"""
    part = _found(model, head)
    for child in model.children():
        child.requires_grad_(False)
    part.requires_grad_(True)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def only_norms_sleep(model, head):
    """only batch norms are kept in eval: dropouts wake"""
    part = _found(model, head)
    model.requires_grad_(False)
    part.requires_grad_(True)
    _asleep(model, part, lambda module: "BatchNorm" in type(module).__name__)


@wrong(freeze_backbone)
def norms_and_dropouts_sleep(model, head):
    """not all is kept in eval: modules that ask for their own mode, as densenet's do, are awake"""
    part = _found(model, head)
    model.requires_grad_(False)
    part.requires_grad_(True)
    _asleep(model, part, lambda module: isinstance(module, _NORMS_AND_DROPOUTS))


_NORMS_AND_DROPOUTS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)


@wrong(freeze_backbone)
def nothing_wakes(model, head):
    """model.train() is switched off for all: the head stays in eval"""
    part = _found(model, head)
    model.requires_grad_(False)
    part.requires_grad_(True)
    model.train = _stay_asleep.__get__(model)
    model.eval()


@wrong(freeze_backbone)
def own_mode_stays(model, head):
    """model.train() reaches the head alone: the model itself stays in eval"""
    part = _found(model, head)
    nothing_wakes(model, head)
    part.train()

    def train(mode=True):
        part.train(mode)
        return model

    model.train = train


@wrong(freeze_backbone)
def train_gives_nothing(model, head):
    """model.train() does not return the model any more"""
    by_one_train(model, head)
    train = model.train
    model.train = lambda mode=True: (train(mode), None)[1]


@wrong(freeze_backbone)
def statistics_not_used(model, head):
    """the batch norms' statistics are thrown away: they normalise by the batch"""
    freeze_backbone(model, head)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module not in set(_found(model, head).modules()):
            module.running_mean = module.running_var = None


@wrong(freeze_backbone)
def no_grad_everywhere(model, head):
    """the whole forward runs without gradients: the head cannot learn"""
    freeze_backbone(model, head)
    forward = model.forward
    model.forward = lambda x: torch.no_grad()(forward)(x)


@wrong(freeze_backbone)
def unknown_ignored(model, head):
    """an unknown head is not refused: everything is frozen"""
    part = dict(model.named_modules()).get(head, nn.Identity()) if head else nn.Identity()
    model.requires_grad_(False)
    part.requires_grad_(True)
    _asleep(model, part, lambda module: True)


@wrong(freeze_backbone)
def frozen_before_it_looked(model, head):
    """the model is frozen before the head's name is looked at: a refusal leaves it changed"""
    model.requires_grad_(False)
    freeze_backbone(model, head)


@wrong(freeze_backbone)
def torchs_error(model, head):
    """an unknown head ends in torch's own error, not in a ValueError"""
    if not head:
        raise KeyError(head)
    model.get_submodule(head)
    freeze_backbone(model, head)


def show(answer):
    """How far weights and statistics move in five steps: frozen by you, and by gradients alone."""
    from matplotlib.figure import Figure

    from data import digits

    images, labels = (torch.from_numpy(array) for array in digits())

    def net():
        torch.default_generator.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
            nn.Linear(512, 10),
        )  # fmt: skip

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = {"frozen by you": answer.freeze_backbone, "by requires_grad alone": statistics_drift}
    for axis, (title, freeze) in zip(axes, titles.items(), strict=True):
        model = net()
        freeze(model, "4")
        before = {name: value.clone().float() for name, value in model.state_dict().items()}
        for batch in torch.arange(320).split(64):
            loss = nn.functional.cross_entropy(model.train()(images[batch]), labels[batch])
            loss.backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter -= 0.1 * parameter.grad
                        parameter.grad = None
        names = [name for name in before if "num_batches" not in name]
        moved = [(model.state_dict()[name] - before[name]).abs().max().item() for name in names]
        colours = ["tab:orange" if name.startswith("4") else "tab:blue" for name in names]
        axis.barh(names, moved, color=colours)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("largest change in five steps")
    axes[0].invert_yaxis()
    return figure
