"""Wake the later stages: the nearer to the head, the more a layer has to learn anew."""

from torch import nn

from dojo import right, wrong


def unfreeze_from(model: nn.Module, stage: str) -> None:
    """Let `stage` and every later child of the model learn, and no earlier one.

    Early layers see edges and colours, which serve any task; late ones see what the old task
    was about. So the late ones are woken, from one stage on up to the head. A stage is a
    top-level child of the model, called by its name exactly; children come in the order of
    model.named_children(). A parameter learns if its requires_grad is True: in earlier children
    it becomes False, in the others True, however deep inside it lies and whatever it was.

    Nothing else changes: neither modes nor weights, statistics, hooks or a .grad that is there,
    nor a parameter that stands in the model itself, outside every child.

    Shapes:
        stage: a name from model.named_children(), also of a child without parameters
        returns: None, the model itself is changed

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4, bias=False))
        >>> unfreeze_from(model, "1")
        >>> [(name, weight.requires_grad) for name, weight in model.named_parameters()]
        [('0.weight', False), ('0.bias', False), ('2.weight', True)]

    Raises:
        ValueError: no child has this name. The message names the stage and all children, and
            the model is as it was.

    Source: Yosinski, Clune, Bengio & Lipson, How transferable are features in deep neural
        networks?, arXiv:1411.1792, section 4.
    """
    names = [name for name, _ in model.named_children()]
    if stage not in names:
        raise ValueError(f"stage is {stage!r}, the model's children are {', '.join(names)}")
    first = names.index(stage)
    for place, child in enumerate(model.children()):
        child.requires_grad_(place >= first)


HINTS = [
    "Which of a ResNet's children come before layer3, which after it? Is layer10 one of the "
    "stages that begin with layer1? And what may have happened to the model already when an "
    "unknown name is found out?",
    "First look for the name among those of model.named_children(), refuse it if it is not there. "
    "Then go through the children in order and freeze until the stage comes.",
    "names = [name for name, _ in model.named_children()]; first = names.index(stage). "
    "child.requires_grad_(flag) sets all parameters of a child, however deep.",
]


def _place(model, stage):
    names = [name for name, _ in model.named_children()]
    if stage not in names:
        raise ValueError(f"{stage} is none of {names}")
    return names.index(stage)


@right(unfreeze_from)
def by_parameter_names(model, stage):
    """Every parameter by the first part of its name."""
    known = dict(model.named_children())
    if stage not in known:
        raise ValueError(f"{stage!r} is no child; there are {list(known)}")
    order = list(known)
    for name, parameter in model.named_parameters():
        child = name.split(".")[0]
        if "." in name:
            parameter.requires_grad = order.index(child) >= order.index(stage)


@right(unfreeze_from)
def by_a_flag(model, stage):
    """A flag that is raised when the stage comes by."""
    if not any(name == stage for name, _ in model.named_children()):
        children = ", ".join(dict(model.named_children()))
        raise ValueError(f"no stage {stage}: choose one of {children}")
    reached = False
    for name, child in model.named_children():
        reached = reached or name == stage
        for parameter in child.parameters():
            parameter.requires_grad_(reached)


@right(unfreeze_from)
def by_two_passes(model, stage):
    """All children to sleep, then the later ones awake, from the last one backwards."""
    _place(model, stage)
    for child in model.children():
        child.requires_grad_(False)
    for name, child in reversed(list(model.named_children())):
        child.requires_grad_(True)
        if name == stage:
            return


def _set(model, stage, awake):
    """The reference with another rule: awake(place, place of the stage, name)."""
    first = _place(model, stage)
    for place, (name, child) in enumerate(model.named_children()):
        child.requires_grad_(awake(place, first, name))


@wrong(unfreeze_from)
def starts_with(model, stage):
    """names are compared by startswith: layer1 is also layer10"""
    _place(model, stage)
    reached = False
    for name, child in model.named_children():
        reached = reached or name.startswith(stage)
        child.requires_grad_(reached)


@wrong(unfreeze_from)
def name_inside(model, stage):
    """the stage is looked for at every depth: a part of an earlier child with this name counts"""
    _place(model, stage)
    reached = False
    for name, parameter in model.named_parameters():
        reached = reached or stage in name.split(".")
        if "." in name:
            parameter.requires_grad_(reached)


@wrong(unfreeze_from)
def alphabetical(model, stage):
    """children are compared by their names in the alphabet, not by their order"""
    _set(model, stage, lambda place, first, name: name >= stage)


@wrong(unfreeze_from)
def opposite(model, stage):
    """the wrong side sleeps: stage and later children are frozen, earlier ones learn"""
    _set(model, stage, lambda place, first, name: place < first)


@wrong(unfreeze_from)
def up_to_the_stage(model, stage):
    """children up to the stage learn, not those from it on"""
    _set(model, stage, lambda place, first, name: place <= first)


@wrong(unfreeze_from)
def stage_alone(model, stage):
    """only the stage itself learns: later children, the head too, are frozen"""
    _set(model, stage, lambda place, first, name: place == first)


@wrong(unfreeze_from)
def head_lost(model, stage):
    """the last child is frozen: the head is lost"""
    last = len(list(model.children())) - 1
    _set(model, stage, lambda place, first, name: place >= first and place != last)


@wrong(unfreeze_from)
def after_the_stage(model, stage):
    """the stage itself stays frozen, only what comes after it learns"""
    _set(model, stage, lambda place, first, name: place > first)


@wrong(unfreeze_from)
def one_stage_earlier(model, stage):
    """the child before the stage learns too"""
    _set(model, stage, lambda place, first, name: place >= first - 1)


@wrong(unfreeze_from)
def everything(model, stage):
    """every child learns, the earlier ones too"""
    _set(model, stage, lambda place, first, name: True)


@wrong(unfreeze_from)
def only_woken(model, stage):
    """earlier children stay as they were: those that learnt before still learn"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        if place >= first:
            child.requires_grad_(True)


@wrong(unfreeze_from)
def only_frozen(model, stage):
    """later children stay as they were: those that were frozen are not woken"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        if place < first:
            child.requires_grad_(False)


@wrong(unfreeze_from)
def toggled(model, stage):
    """requires_grad is turned around where it does not fit the first call: the second undoes it"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        for parameter in child.parameters():
            if place >= first:
                parameter.requires_grad = not parameter.requires_grad
            else:
                parameter.requires_grad = False


@wrong(unfreeze_from)
def attribute_of_the_module(model, stage):
    """requires_grad is set on the modules, where it does nothing, and not on their parameters"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        child.requires_grad = place >= first


@wrong(unfreeze_from)
def weights_only(model, stage):
    """only weights are set, biases stay as they were"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        for name, parameter in child.named_parameters():
            if name.endswith("weight"):
                parameter.requires_grad_(place >= first)


@wrong(unfreeze_from)
def weights_and_biases(model, stage):
    """only parameters called weight or bias are set: others stay as they were"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        for name, parameter in child.named_parameters():
            if name.split(".")[-1] in ("weight", "bias"):
                parameter.requires_grad_(place >= first)


@wrong(unfreeze_from)
def not_inside(model, stage):
    """only the children's own parameters are set, not those of the modules inside them"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        for parameter in child.parameters(recurse=False):
            parameter.requires_grad_(place >= first)


@wrong(unfreeze_from)
def batch_norm_left_out(model, stage):
    """batch norms are left out: their weights stay as they were"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        for module in child.modules():
            if not isinstance(module, nn.modules.batchnorm._BatchNorm):
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(place >= first)


@wrong(unfreeze_from)
def own_parameters_frozen(model, stage):
    """the whole model is frozen first: parameters outside every child stay frozen"""
    first = _place(model, stage)
    model.requires_grad_(False)
    for place, child in enumerate(model.children()):
        child.requires_grad_(place >= first)


@wrong(unfreeze_from)
def own_parameters_woken(model, stage):
    """the whole model is woken first: parameters outside every child learn from then on"""
    model.requires_grad_(True)
    unfreeze_from(model, stage)


@wrong(unfreeze_from)
def frozen_before_the_look(model, stage):
    """the model is frozen before the name is looked up: an unknown one leaves it frozen"""
    for child in model.children():
        child.requires_grad_(False)
    unfreeze_from(model, stage)


@wrong(unfreeze_from)
def silent(model, stage):
    """an unknown stage is not refused: nothing happens and nobody hears of it"""
    if stage in dict(model.named_children()):
        unfreeze_from(model, stage)


@wrong(unfreeze_from)
def left_to_the_dictionary(model, stage):
    """an unknown stage is a KeyError of a dictionary"""
    dict(model.named_children())[stage]
    unfreeze_from(model, stage)


@wrong(unfreeze_from)
def without_the_list(model, stage):
    """the refusal does not say which children there are"""
    if stage not in dict(model.named_children()):
        raise ValueError(f"unknown stage {stage}")
    unfreeze_from(model, stage)


@wrong(unfreeze_from)
def deeper_stages_allowed(model, stage):
    """a name inside a child is accepted: only top-level children are stages"""
    unfreeze_from(model, stage.split(".")[0])


@wrong(unfreeze_from)
def by_parameters_alone(model, stage):
    """the stage is looked for among parameters: a child without any is unknown"""
    names = [name.split(".")[0] for name, _ in model.named_parameters()]
    if stage not in names:
        raise ValueError(f"{stage} is none of {dict(model.named_children()).keys()}")
    unfreeze_from(model, stage)


@wrong(unfreeze_from)
def put_to_eval(model, stage):
    """frozen children are put into eval"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        child.requires_grad_(place >= first)
        if place < first:
            child.eval()


@wrong(unfreeze_from)
def put_to_train(model, stage):
    """children that learn are put into train mode"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        child.requires_grad_(place >= first)
        if place >= first:
            child.train()


@wrong(unfreeze_from)
def gradients_dropped(model, stage):
    """the .grad of frozen parameters is dropped"""
    unfreeze_from(model, stage)
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.grad = None


@wrong(unfreeze_from)
def statistics_reset(model, stage):
    """the running statistics of woken batch norms are reset"""
    first = _place(model, stage)
    for place, child in enumerate(model.children()):
        child.requires_grad_(place >= first)
        for module in child.modules():
            if place >= first and isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()
