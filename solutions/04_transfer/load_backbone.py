"""A backbone out of a file: every tensor accounted for, only the head is new."""

from pathlib import Path

from dojo import right, vision, wrong  # noqa: F401 - vision: torchvision needs it in places

# isort: split
import torch
from torch import nn
from torchvision import models


def load_backbone(path: str | Path, num_classes: int) -> nn.Module:
    """Build torchvision's resnet18 with the backbone of a file and a new head.

    The file is a plain state_dict of a resnet18, as torch.save writes it. One that was trained
    on several GPUs has "module." before every name; it is the same network. What the file holds
    as `fc` belongs to other classes: it may be of any size or missing, and is never used, not
    even where its size would fit. All the rest must be there to the last tensor, in the right
    shape, batch norm's counters included, and nothing else: a network in which one layer was
    silently left at random works, only badly, and nobody knows why. torch's own loading is no
    proof of that: counters that a plain dict lacks are filled in without a word.

    A file from elsewhere may hold code that runs while it is unpickled: load weights only. Nothing
    comes from the network; the numbers are all in the file.

    Shapes:
        returns: a model from (N, 3, H, W) to logits (N, num_classes), in eval

    Example:
        >>> import io
        >>> _ = torch.save({}, file := io.BytesIO()), file.seek(0)
        >>> load_backbone(file, 5)
        Traceback (most recent call last):
        ValueError: the file has no bn1.bias

    Raises:
        ValueError: a tensor of the backbone is missing, has another shape, or is not one of
            resnet18's: the text holds its name; or num_classes is below 1. What torch.load
            raises reaches the caller.

    Source: PyTorch documentation, torch.nn.Module.load_state_dict and torch.load.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, at least 1 is needed")
    file = torch.load(path, map_location="cpu", weights_only=True)
    found = {name.removeprefix("module."): tensor for name, tensor in file.items()}
    model = models.resnet18(num_classes=num_classes)
    state = model.state_dict()
    for name in sorted(found.keys() | state.keys()):
        if not name.startswith("fc."):
            _refuse_unless_it_fits(name, found, state)
            state[name] = found[name]
    model.load_state_dict(state)
    return model.eval()


def _refuse_unless_it_fits(name: str, found: dict, wanted: dict) -> None:
    if name not in found:
        raise ValueError(f"the file has no {name}")
    if name not in wanted:
        raise ValueError(f"the file has a {name}, resnet18 has none")
    shapes = tuple(found[name].shape), tuple(wanted[name].shape)
    if shapes[0] != shapes[1]:
        raise ValueError(f"{name} is {shapes[0]} in the file, expected {shapes[1]}")


HINTS = [
    "What would load_state_dict(strict=False) tell you if the file came from another network "
    "altogether? And what does strict=True say to a head for 1000 classes where you want 5?",
    "Read the file, take 'module.' off its names, build resnet18(num_classes=...). Then compare "
    "name by name what the file has with what the model has, fc left out: missing, too much, or of "
    "another shape. Only then load.",
    "state = model.state_dict(); for every name of either that does not start with 'fc.': refuse "
    "it with a ValueError that holds the name, or put the file's tensor into state. The new "
    "head's own tensors stay in state, so model.load_state_dict(state) is strict. Then eval().",
]


def _read(path, num_classes):
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}")
    return torch.load(path, map_location="cpu", weights_only=True)


def _clean(file):
    return {name.removeprefix("module."): tensor for name, tensor in file.items()}


def _body(state):
    return {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}


@right(load_backbone)
def head_replaced_last(path, num_classes):
    """A model without numbers is filled by assignment; its head is replaced at the end."""
    body = _body(_clean(_read(path, num_classes)))
    with torch.device("meta"):
        model = models.resnet18()
    wanted = _body(model.state_dict())
    off = body.keys() ^ wanted.keys()
    off |= {n for n in body.keys() & wanted.keys() if body[n].shape != wanted[n].shape}
    if off:
        raise ValueError(f"these are missing, too much or of another shape: {sorted(off)}")
    model.load_state_dict(body, strict=False, assign=True)
    model.fc = nn.Linear(512, num_classes)
    return model.train(False)


@right(load_backbone)
def copied_one_by_one(path, num_classes):
    """Parameters and buffers are copied by name, the prefix cut off by length."""
    file = _read(path, num_classes)
    cut = 7 if all(name.startswith("module.") for name in file) else 0
    file = {name[cut:]: tensor for name, tensor in file.items() if name[cut : cut + 3] != "fc."}
    model = models.get_model("resnet18", weights=None)
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    places = dict(model.named_parameters()) | dict(model.named_buffers())
    with torch.no_grad():
        for name in [name for name in places if not name.startswith("fc.")]:
            if name not in file or file[name].shape != places[name].shape:
                raise ValueError(f"{name} is missing or of another shape")
            places[name].copy_(file.pop(name))
    if file:
        raise ValueError(f"nobody knows {', '.join(file)}")
    for module in model.modules():
        module.eval()
    return model


@right(load_backbone)
def strict_without_head(path, num_classes):
    """The model has no head while it is loaded strictly; torch names what does not fit."""
    body = _body(_clean(_read(path, num_classes)))
    model = models.resnet18()
    model.fc = nn.Identity()
    missing = set(model.state_dict()) - set(body)
    if missing:
        raise ValueError(f"{path} lacks {missing}")
    try:
        model.load_state_dict(body)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    model.fc = nn.Linear(512, num_classes)
    return model.eval()


def _refusing(name, found, wanted):
    _refuse_unless_it_fits(name, found, wanted)
    return True


def _loaded(path, num_classes, clean=_clean, fits=_refusing, body=_body, read=_read):
    """Loads what `fits` does not leave out."""
    found = body(clean(read(path, num_classes)))
    model = models.resnet18(num_classes=num_classes)
    state, wanted = model.state_dict(), body(model.state_dict())
    for name in sorted(found.keys() | wanted.keys()):
        if fits(name, found, wanted):
            state[name] = found[name]
    model.load_state_dict(state)
    return model.eval()


def _there(name, found, wanted):
    return name in found and name in wanted and found[name].shape == wanted[name].shape


@wrong(load_backbone)
def not_strict(path, num_classes):
    """strict=False: what is missing stays random, what is too much is dropped, without a word"""
    model = models.resnet18(num_classes=num_classes)
    model.load_state_dict(_body(_clean(_read(path, num_classes))), strict=False)
    return model.eval()


@wrong(load_backbone)
def only_what_fits(path, num_classes):
    """only what fits is loaded: all that is missing, misshapen or unknown is passed over"""
    return _loaded(path, num_classes, fits=_there)


@wrong(load_backbone)
def missing_accepted(path, num_classes):
    """a missing tensor is not refused: that layer stays random"""

    def fits(name, found, wanted):
        return name in found and _refusing(name, found, wanted)

    return _loaded(path, num_classes, fits=fits)


@wrong(load_backbone)
def unexpected_accepted(path, num_classes):
    """a tensor that resnet18 does not have is dropped in silence"""

    def fits(name, found, wanted):
        return name in wanted and _refusing(name, found, wanted)

    return _loaded(path, num_classes, fits=fits)


@wrong(load_backbone)
def misshapen_accepted(path, num_classes):
    """a tensor of another shape is passed over: that layer stays random"""

    def fits(name, found, wanted):
        both = name in found and name in wanted
        return _there(name, found, wanted) if both else _refusing(name, found, wanted)

    return _loaded(path, num_classes, fits=fits)


@wrong(load_backbone)
def counters_may_be_missing(path, num_classes):
    """load_state_dict decides: it fills in the counters that a plain dict lacks without a word"""
    body = _body(_clean(_read(path, num_classes)))
    model = models.resnet18()
    model.fc = nn.Identity()
    try:
        model.load_state_dict(body)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    model.fc = nn.Linear(512, num_classes)
    return model.eval()


@wrong(load_backbone)
def only_parameters(path, num_classes):
    """only the parameters are loaded: batch norm has the statistics of a fresh network"""
    loaded = _loaded(path, num_classes)
    model = models.resnet18(num_classes=num_classes).eval()
    with torch.no_grad():
        for fresh, known in zip(model.parameters(), loaded.parameters(), strict=True):
            fresh.copy_(known)
    return model


@wrong(load_backbone)
def not_loaded(path, num_classes):
    """the file is checked, but its numbers never reach the model"""
    _loaded(path, num_classes)
    return models.resnet18(num_classes=num_classes).eval()


@wrong(load_backbone)
def counters_at_zero(path, num_classes):
    """batch norm's counters start from 0 again"""
    model = _loaded(path, num_classes)
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.zero_()
    return model


@wrong(load_backbone)
def torchs_error(path, num_classes):
    """what does not fit stops with torch's RuntimeError: a ValueError is wanted"""
    body = _body(_clean(_read(path, num_classes)))
    model = models.resnet18()
    model.fc = nn.Identity()
    missing = sorted(set(model.state_dict()) - set(body))
    if missing:
        raise RuntimeError(f"missing {missing}")
    model.load_state_dict(body)
    model.fc = nn.Linear(512, num_classes)
    return model.eval()


@wrong(load_backbone)
def key_error(path, num_classes):
    """a missing tensor stops with a KeyError: a ValueError is wanted"""

    def fits(name, found, wanted):
        if name not in found:
            raise KeyError(name)
        return _refusing(name, found, wanted)

    return _loaded(path, num_classes, fits=fits)


@wrong(load_backbone)
def nameless_refusal(path, num_classes):
    """the refusal does not say which tensor it is about"""

    def fits(name, found, wanted):
        if not _there(name, found, wanted):
            raise ValueError("the file does not fit resnet18")
        return True

    return _loaded(path, num_classes, fits=fits)


@wrong(load_backbone)
def counted_only(path, num_classes):
    """only the number of tensors is compared"""

    def fits(name, found, wanted):
        if len(found) != len(wanted):
            raise ValueError(f"{sorted(found.keys() ^ wanted.keys())}")
        return _there(name, found, wanted)

    return _loaded(path, num_classes, fits=fits)


@wrong(load_backbone)
def prefix_kept(path, num_classes):
    """'module.' is not taken off: a file from several GPUs is refused"""
    return _loaded(path, num_classes, clean=dict)


@wrong(load_backbone)
def prefix_expected(path, num_classes):
    """seven letters are cut off every name, also where no 'module.' stands before it"""
    return _loaded(path, num_classes, clean=lambda file: {n[7:]: t for n, t in file.items()})


@wrong(load_backbone)
def letters_stripped(path, num_classes):
    """lstrip takes letters, not a prefix: 'layer1' loses its l"""

    def clean(file):
        return {name.lstrip("module."): tensor for name, tensor in file.items()}

    return _loaded(path, num_classes, clean=clean)


@wrong(load_backbone)
def head_before_loading(path, num_classes):
    """the head is replaced before loading: the file's own head does not fit into it"""
    model, state = models.resnet18(), _clean(_read(path, num_classes))
    model.fc = nn.Linear(512, num_classes)
    model.load_state_dict(state)
    return model.eval()


@wrong(load_backbone)
def only_1000_classes(path, num_classes):
    """the file is loaded into a resnet18 of 1000 classes: a head of any other size stops it"""
    model, found = models.resnet18(), _clean(_read(path, num_classes))
    state = model.state_dict()
    for name in sorted(_body(found).keys() | _body(state).keys()):
        _refuse_unless_it_fits(name, found, state)
    model.load_state_dict(state | found)
    model.fc = nn.Linear(512, num_classes)
    return model.eval()


@wrong(load_backbone)
def head_must_be_there(path, num_classes):
    """a file without fc is refused: it is not needed"""
    found = _clean(_read(path, num_classes))
    for name in ("fc.weight", "fc.bias"):
        _refuse_unless_it_fits(name, found, found)
    return _loaded(path, num_classes)


@wrong(load_backbone)
def old_head_kept(path, num_classes):
    """the file's own head is kept: it has the classes it was trained for"""
    found, model = _clean(_read(path, num_classes)), _loaded(path, num_classes)
    if "fc.weight" in found and "fc.bias" in found:
        model.fc = nn.Linear(512, len(found["fc.weight"]))
        model.fc.load_state_dict({name: found[f"fc.{name}"] for name in ("weight", "bias")})
    return model


@wrong(load_backbone)
def old_head_where_it_fits(path, num_classes):
    """where the file's head has as many classes it is used: they are other classes"""
    found, model = _clean(_read(path, num_classes)), _loaded(path, num_classes)
    if "fc.weight" in found and found["fc.weight"].shape == model.fc.weight.shape:
        model.fc.load_state_dict({name: found[f"fc.{name}"] for name in ("weight", "bias")})
    return model


@wrong(load_backbone)
def all_that_begins_with_fc(path, num_classes):
    """all that begins with fc is passed over, fc2 as well: the head's names begin with 'fc.'"""

    def body(state):
        return {name: tensor for name, tensor in state.items() if not name.startswith("fc")}

    return _loaded(path, num_classes, body=body)


@wrong(load_backbone)
def no_head(path, num_classes):
    """there is no head: the 512 features come out"""
    model = _loaded(path, num_classes)
    model.fc = nn.Identity()
    return model


@wrong(load_backbone)
def head_of_1000(path, num_classes):
    """num_classes is not used: the new head has 1000 classes"""
    model = _loaded(path, num_classes)
    model.fc = nn.Linear(512, 1000)
    return model


@wrong(load_backbone)
def head_without_bias(path, num_classes):
    """the new head has no bias"""
    model = _loaded(path, num_classes)
    model.fc = nn.Linear(512, num_classes, bias=False)
    return model


@wrong(load_backbone)
def train_mode(path, num_classes):
    """the model is in train mode"""
    return _loaded(path, num_classes).train()


@wrong(load_backbone)
def only_the_root_in_eval(path, num_classes):
    """only the root is in eval: model.training = False does not reach its parts"""
    model = _loaded(path, num_classes).train()
    model.training = False
    return model


@wrong(load_backbone)
def head_in_train_mode(path, num_classes):
    """the new head is in train mode: it came after eval()"""
    model = _loaded(path, num_classes)
    model.fc = nn.Linear(512, num_classes)
    return model


@wrong(load_backbone)
def everything_unpickled(path, num_classes):
    """weights_only=False: whatever code stands in the file is run"""

    def read(path, num_classes):
        _ = num_classes < 1 and _read(path, num_classes)
        return torch.load(path, map_location="cpu", weights_only=False)

    return _loaded(path, num_classes, read=read)


@wrong(load_backbone)
def pretrained_first(path, num_classes):
    """torchvision's own weights are downloaded first: all numbers are in the file"""
    _loaded(path, num_classes)
    model = models.resnet18(weights="DEFAULT")
    model.load_state_dict(_body(_clean(_read(path, num_classes))), strict=False)
    model.fc = nn.Linear(512, num_classes)
    return model.eval()


@wrong(load_backbone)
def state_returned(path, num_classes):
    """the state_dict is returned, not the model"""
    return _loaded(path, num_classes).state_dict()


@wrong(load_backbone)
def no_classes_accepted(path, num_classes):
    """a num_classes below 1 is not refused"""
    if num_classes > 0:
        return _loaded(path, num_classes)
    model = _loaded(path, 1)
    model.fc = nn.Linear(512, 0)
    return model.eval()


@wrong(load_backbone)
def zero_classes_accepted(path, num_classes):
    """0 classes are not refused, only negative ones are"""
    return (
        no_classes_accepted(path, num_classes) if num_classes == 0 else _loaded(path, num_classes)
    )
