"""A new head on an old body: find the last Linear where torchvision keeps it, and exchange it."""

import copy

import torch
from torch import nn

from dojo import right, wrong


def replace_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Exchange the head of a model for a new Linear with `num_classes` outputs.

    The body of a pretrained network gives features that are good for many tasks; only its last
    layer knows the old classes. torchvision has two places for it: the attribute `fc` (resnet),
    or the last Linear in the attribute `classifier`. That may be one layer of several, with
    layers before it that belong to the body (vgg), with layers without parameters behind it, or
    `classifier` is the Linear itself (densenet). Where a layer stands in the order of
    declaration says nothing.

    The new Linear takes the features that the old one took, on the same device and in the same
    dtype. It has a bias where the old one had one; where that had none, it may. It begins with
    numbers of its own, also where there are as many classes as before: they are other classes.
    It can learn, also if all the model is frozen. Everything else is left as it was: the very
    same layers and tensors, modes, requires_grad.

    Shapes:
        model: gives logits (N, old number of classes); it is changed
        returns: the same model, gives logits (N, num_classes)

    Example:
        >>> model = nn.Sequential()
        >>> model.classifier = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1000))
        >>> replace_head(model, 3).classifier[2]
        Linear(in_features=6, out_features=3, bias=True)

    Raises:
        ValueError: the model has neither an `fc` that is a Linear nor a Linear in `classifier`,
            or num_classes is below 1; the model is then left as it was.

    Source: torchvision documentation, Models and pre-trained weights.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, at least 1 is needed")
    owner, name = _place_of_head(model)
    old = getattr(owner, name)
    like = {"device": old.weight.device, "dtype": old.weight.dtype}
    setattr(owner, name, nn.Linear(old.in_features, num_classes, **like))
    return model


def _place_of_head(model: nn.Module) -> tuple[nn.Module, str]:
    """The module that owns the head, and under which name."""
    for name in ("fc", "classifier"):
        if isinstance(getattr(model, name, None), nn.Linear):
            return model, name
    layers = getattr(model, "classifier", nn.Sequential())
    for name, layer in reversed(list(layers.named_children())):
        if isinstance(layer, nn.Linear):
            return layers, name
    raise ValueError(f"{type(model).__name__} has no Linear called fc or in classifier")


HINTS = [
    "Print torchvision's resnet18(), vgg11() and densenet121(). Under which name does the last "
    "Linear of each stand? Which of vgg's three Linears knows the 1000 classes?",
    "First find the place: the module that owns the head and the name it has there. Three cases: "
    "model.fc, model.classifier, or a child of model.classifier, looked for from its end. Then the "
    "old head tells in_features, device and dtype.",
    "for name, layer in reversed(list(model.classifier.named_children())): the first Linear found "
    "is it. setattr(model.classifier, name, nn.Linear(layer.in_features, num_classes, "
    "device=layer.weight.device, dtype=layer.weight.dtype)), and return model.",
]


def _checked(num_classes):
    if num_classes < 1:
        raise ValueError(f"num_classes {num_classes}")
    return num_classes


@right(replace_head)
def by_dotted_name(model, num_classes):
    """Of all the named Linears the last that is called fc, classifier or classifier.<index>."""
    linears = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    heads = [n for n in linears if n == "fc" or n.split(".")[0] == "classifier"]
    if not heads:
        raise ValueError(f"no head among the Linears {linears}")
    old = model.get_submodule(heads[-1])
    new = nn.Linear(old.in_features, _checked(num_classes)).to(old.weight)
    model.set_submodule(heads[-1], new)
    return model


@right(replace_head)
def three_cases(model, num_classes):
    """The sizes are read off the weight; the classifier is indexed from its end."""

    def fresh(old):
        weight = old.weight
        new = torch.nn.Linear(weight.shape[1], num_classes, dtype=weight.dtype)
        return new.to(weight.device).train(old.training)

    _checked(num_classes)
    head = getattr(model, "fc", None) or getattr(model, "classifier", None)
    if isinstance(head, nn.Linear) and head is getattr(model, "fc", None):
        model.fc = fresh(head)
        return model
    if isinstance(head, nn.Linear):
        model.classifier = fresh(head)
        return model
    if isinstance(head, nn.Sequential):
        for place in range(1, len(head) + 1):
            if isinstance(head[-place], nn.Linear):
                head[-place] = fresh(head[-place])
                return model
    raise ValueError(f"a {type(model).__name__} has no head that is known here")


@right(replace_head)
def bias_as_before(model, num_classes):
    """Without a bias where the old head had none."""
    return _replaced(model, num_classes, new=lambda o, n: _new(o, n, bias=o.bias is not None))


@right(replace_head)
def in_its_place(model, num_classes):
    """The old Linear stays the same module and gets new parameters."""
    _checked(num_classes)
    owner, name = _place_of_head(model)
    head = getattr(owner, name)
    bound = head.in_features**-0.5
    like = {"device": head.weight.device, "dtype": head.weight.dtype}
    weight = torch.empty(num_classes, head.in_features, **like).uniform_(-bound, bound)
    head.weight, head.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(num_classes, **like))
    head.out_features = num_classes
    return model


@right(replace_head)
def sequential_made_anew(model, num_classes):
    """The layers around the head go into a new Sequential."""
    _checked(num_classes)
    owner, name = _place_of_head(model)
    old = getattr(owner, name)
    new = nn.Linear(old.in_features, num_classes).to(old.weight.device, old.weight.dtype)
    if owner is model:
        setattr(model, name, new)
    else:
        model.classifier = nn.Sequential(*[new if layer is old else layer for layer in owner])
    return model


def _like(old):
    return {"device": old.weight.device, "dtype": old.weight.dtype}


def _new(old, num_classes, **changed):
    return nn.Linear(old.in_features, num_classes, **_like(old) | changed)


def _replaced(model, num_classes, place=_place_of_head, new=_new):
    owner, name = place(model)
    setattr(owner, name, new(getattr(owner, name), _checked(num_classes)))
    return model


@wrong(replace_head)
def whole_classifier(model, num_classes):
    """the whole classifier is replaced: the layers before its last Linear belong to the body"""
    if _place_of_head(model)[0] is model:
        return _replaced(model, num_classes)
    first = next(layer for layer in model.classifier if isinstance(layer, nn.Linear))
    model.classifier = _new(first, _checked(num_classes))
    return model


@wrong(replace_head)
def first_of_the_classifier(model, num_classes):
    """the first Linear of the classifier is replaced, not the last"""

    def place(model):
        owner, name = _place_of_head(model)
        if owner is model:
            return owner, name
        return owner, next(n for n, m in owner.named_children() if isinstance(m, nn.Linear))

    return _replaced(model, num_classes, place)


@wrong(replace_head)
def last_child_of_the_classifier(model, num_classes):
    """classifier[-1] is taken for the Linear: a layer without parameters may follow it"""

    def place(model):
        owner, name = _place_of_head(model)
        return owner, (name if owner is model else str(len(owner) - 1))

    return _replaced(model, num_classes, place)


@wrong(replace_head)
def index_6(model, num_classes):
    """classifier[6] for every model: that is where vgg and alexnet have it"""

    def place(model):
        owner, name = _place_of_head(model)
        return owner, (name if owner is model else "6")

    return _replaced(model, num_classes, place)


@wrong(replace_head)
def index_1(model, num_classes):
    """classifier[1] for every model: that is where mobilenet_v2 has it"""

    def place(model):
        owner, name = _place_of_head(model)
        return owner, (name if owner is model else "1")

    return _replaced(model, num_classes, place)


@wrong(replace_head)
def only_fc(model, num_classes):
    """only fc is known: a model with a classifier is refused"""
    if not isinstance(getattr(model, "fc", None), nn.Linear):
        raise ValueError("no fc")
    return _replaced(model, num_classes)


@wrong(replace_head)
def only_classifiers(model, num_classes):
    """only classifier is known: a model with fc is refused"""
    if not hasattr(model, "classifier"):
        raise ValueError("no classifier")
    return _replaced(model, num_classes)


@wrong(replace_head)
def classifier_is_a_sequence(model, num_classes):
    """a classifier that is a Linear itself, as in densenet, is not known"""
    if isinstance(getattr(model, "classifier", None), nn.Linear):
        raise ValueError("the classifier has no layers")
    return _replaced(model, num_classes)


@wrong(replace_head)
def last_linear_of_all(model, num_classes):
    """the last Linear of the whole model is taken: the order of declaration says nothing"""

    def place(model):
        _place_of_head(model)
        name = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
        owner, _, name = name.rpartition(".")
        return model.get_submodule(owner), name

    return _replaced(model, num_classes, place)


@wrong(replace_head)
def any_last_linear(model, num_classes):
    """any Linear will do: a model without fc and classifier is not refused"""

    def place(model):
        try:
            return _place_of_head(model)
        except ValueError:
            names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
            if not names or "fc" in dict(model.named_children()):
                raise
            owner, _, name = names[-1].rpartition(".")
            return model.get_submodule(owner), name

    return _replaced(model, num_classes, place)


@wrong(replace_head)
def features_of_resnet(model, num_classes):
    """in_features is guessed: 512 is right for resnet18, the old head knows its own"""
    return _replaced(model, num_classes, new=lambda o, n: nn.Linear(512, n, **_like(o)))


@wrong(replace_head)
def features_of_the_outputs(model, num_classes):
    """in_features is the old head's out_features"""
    return _replaced(model, num_classes, new=lambda o, n: nn.Linear(o.out_features, n, **_like(o)))


@wrong(replace_head)
def put_behind(model, num_classes):
    """the new Linear is put behind the old head instead of in its place"""

    def new(old, num_classes):
        return nn.Sequential(old, nn.Linear(old.out_features, num_classes, **_like(old)))

    return _replaced(model, num_classes, new=new)


@wrong(replace_head)
def moved_to_the_end(model, num_classes):
    """the new head comes after all layers of the classifier: those behind the old one go before"""
    owner, name = _place_of_head(model)
    old = getattr(owner, name)
    delattr(owner, name)
    owner.add_module(name, _new(old, _checked(num_classes)))
    return model


@wrong(replace_head)
def attribute_only(model, num_classes):
    """only the number out_features is changed: the weight has its old shape"""

    def new(old, num_classes):
        old.out_features = num_classes
        return old

    return _replaced(model, num_classes, new=new)


@wrong(replace_head)
def old_rows_kept(model, num_classes):
    """the new head begins with rows of the old one: they belong to other classes"""

    def new(old, num_classes):
        head = _new(old, num_classes)
        with torch.no_grad():
            kept = min(num_classes, old.out_features)
            head.weight[:kept] = old.weight[:kept]
            if old.bias is not None:
                head.bias[:kept] = old.bias[:kept]
        return head

    return _replaced(model, num_classes, new=new)


@wrong(replace_head)
def old_bias_kept(model, num_classes):
    """the new head begins with the bias of the old one, which belongs to other classes"""

    def new(old, num_classes):
        head = _new(old, num_classes)
        if old.bias is not None:
            with torch.no_grad():
                kept = min(num_classes, old.out_features)
                head.bias[:kept] = old.bias[:kept]
        return head

    return _replaced(model, num_classes, new=new)


@wrong(replace_head)
def without_bias(model, num_classes):
    """the new head has no bias, where the old one had one"""
    return _replaced(model, num_classes, new=lambda o, n: _new(o, n, bias=False))


@wrong(replace_head)
def kept_where_it_fits(model, num_classes):
    """a head with as many classes is kept: they are other classes"""
    owner, name = _place_of_head(model)
    if getattr(owner, name).out_features == num_classes:
        return model
    return _replaced(model, num_classes)


@wrong(replace_head)
def copy_returned(model, num_classes):
    """a copy is changed and returned: the caller's model has its old head"""
    return _replaced(copy.deepcopy(model), num_classes)


@wrong(replace_head)
def other_model_returned(model, num_classes):
    """the caller's model is changed, but a copy of it is returned"""
    return copy.deepcopy(_replaced(model, num_classes))


@wrong(replace_head)
def nothing_returned(model, num_classes):
    """nothing is returned: the model should be"""
    _replaced(model, num_classes)


@wrong(replace_head)
def head_returned(model, num_classes):
    """the new head is returned, not the model"""
    owner, name = _place_of_head(_replaced(model, num_classes))
    return getattr(owner, name)


@wrong(replace_head)
def dtype_lost(model, num_classes):
    """the new head is float32 whatever the model is"""
    return _replaced(
        model, num_classes, new=lambda o, n: _new(o, n, dtype=torch.get_default_dtype())
    )


@wrong(replace_head)
def device_lost(model, num_classes):
    """the new head is on the CPU wherever the model is"""
    return _replaced(model, num_classes, new=lambda o, n: _new(o, n, device="cpu"))


@wrong(replace_head)
def like_the_first_parameter(model, num_classes):
    """dtype and device are those of the model's first parameter: its head may have others"""
    first = next(model.parameters(), torch.empty(0))
    return _replaced(
        model, num_classes, new=lambda o, n: _new(o, n, device=first.device, dtype=first.dtype)
    )


@wrong(replace_head)
def model_moved(model, num_classes):
    """the model is brought to the CPU and to float32 so that the new head fits"""
    if model is not None and next(model.parameters()).device.type != "meta":
        model.float()
    return _replaced(model, num_classes, new=lambda o, n: nn.Linear(o.in_features, n))


@wrong(replace_head)
def frozen_as_before(model, num_classes):
    """the new head is frozen where the old one was: it cannot learn"""
    return _replaced(
        model,
        num_classes,
        new=lambda o, n: _new(o, n).requires_grad_(o.weight.requires_grad),
    )


@wrong(replace_head)
def body_frozen(model, num_classes):
    """the body is frozen on the way: only the head was to be replaced"""
    _place_of_head(model)
    _checked(num_classes)
    return _replaced(model.requires_grad_(False), num_classes)


@wrong(replace_head)
def everything_wakes(model, num_classes):
    """all of the model requires grad afterwards, also what was frozen"""
    return _replaced(model, num_classes).requires_grad_(True)


@wrong(replace_head)
def put_into_eval(model, num_classes):
    """the model is put into eval on the way"""
    return _replaced(model, num_classes).eval()


@wrong(replace_head)
def put_into_train(model, num_classes):
    """the model is put into train mode on the way"""
    return _replaced(model, num_classes).train()


@wrong(replace_head)
def body_initialised_anew(model, num_classes):
    """the body's layers are initialised anew: what it had learned is gone"""
    model = _replaced(model, num_classes)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.reset_parameters()
    return model


@wrong(replace_head)
def gradients_cleared(model, num_classes):
    """the gradients of the body are cleared"""
    model = _replaced(model, num_classes)
    model.zero_grad()
    return model


@wrong(replace_head)
def an_fc_for_all(model, num_classes):
    """a model without a known head gets an attribute fc, which its forward never uses"""
    try:
        return _replaced(model, num_classes)
    except ValueError:
        model.fc = nn.Linear(512, _checked(num_classes))
        return model


@wrong(replace_head)
def headless_passes(model, num_classes):
    """a model without a known head is returned as it is, without a refusal"""
    try:
        return _replaced(model, num_classes)
    except ValueError:
        _checked(num_classes)
        return model


@wrong(replace_head)
def attribute_error(model, num_classes):
    """a model without a known head stops with an AttributeError: a ValueError is wanted"""
    try:
        place = _place_of_head(model)
    except ValueError as error:
        raise AttributeError(str(error)) from None
    return _replaced(model, num_classes, lambda model: place)


@wrong(replace_head)
def convolution_replaced(model, num_classes):
    """squeezenet's last convolution is replaced: it is no Linear, and should be refused"""
    try:
        return _replaced(model, num_classes)
    except ValueError:
        if not hasattr(model, "num_classes") or not hasattr(model, "classifier"):
            raise
        model.classifier[1] = nn.Conv2d(512, _checked(num_classes), 1, device="meta")
        return model


@wrong(replace_head)
def fc_need_not_be_linear(model, num_classes):
    """an fc that is no Linear, but an Identity, is not refused"""
    if isinstance(getattr(model, "fc", None), nn.Identity):
        model.fc = nn.Linear(512, _checked(num_classes))
        return model
    return _replaced(model, num_classes)


@wrong(replace_head)
def no_classes_accepted(model, num_classes):
    """a num_classes below 1 is not refused"""
    return _replaced(model, num_classes) if num_classes > 0 else _replaced_unchecked(model)


@wrong(replace_head)
def zero_classes_accepted(model, num_classes):
    """0 classes are not refused, only negative ones are"""
    return _replaced(model, num_classes) if num_classes else _replaced_unchecked(model)


def _replaced_unchecked(model):
    return _replaced(model, 1, new=lambda old, n: _new(old, 0))


@wrong(replace_head)
def refused_too_late(model, num_classes):
    """num_classes is looked at after the head is gone: a refused call changes the model"""
    owner, name = _place_of_head(model)
    old = getattr(owner, name)
    setattr(owner, name, nn.Identity())
    setattr(owner, name, _new(old, _checked(num_classes)))
    return model
