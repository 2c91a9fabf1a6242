"""A pretrained model with what belongs to it: its preprocessing, and the names of its classes."""

import difflib
import functools
import tempfile
from collections.abc import Callable

from dojo import right, vision, wrong  # noqa: F401 - vision: torchvision needs it in places

# isort: split
import torch
from torch import Tensor, nn
from torchvision import models


def pretrained(name: str) -> tuple[nn.Module, Callable[[Tensor], Tensor], list[str]]:
    """Get torchvision's model of this name with its best weights, ready to be asked.

    Weights alone are of no use: they answer sense only for images prepared as in their own
    evaluation, each with a resize and crop of its own, and the number of a class says nothing
    without the list of names. torchvision keeps all of it together in one entry of an enum,
    and a model may have several such entries; DEFAULT is the best one, whatever its number.
    The file of the weights is downloaded once into torch's hub cache; from then on it is found
    there. A model comes in train mode, where dropout and batch norm are not what they should
    be for an answer: turn it to eval.

    Names are those of `models.list_models(module=models)`, written exactly so. Without `module`
    that list also has models that find or outline objects, which are of no use here.

    Shapes:
        returns: (model, preprocess, categories)
        model: (N, 3, S, S) float32 to logits (N, 1000), in eval
        preprocess: a uint8 image (3, H, W), H and W at least S, to float32 (3, S, S)
        categories: 1000 strings, one for each logit

    Example:
        >>> pretrained("squeezenet1_2")
        Traceback (most recent call last):
        ValueError: no model is called 'squeezenet1_2'; near: squeezenet1_1, squeezenet1_0

    Raises:
        ValueError: there is no such name; the text holds the known names nearest to it, if any.

    Source: torchvision documentation, Models and pre-trained weights, sections "General
        information on pre-trained weights" and "Using models from Hub".
    """
    known = models.list_models(module=models)
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known)) or "none of its models"
        raise ValueError(f"no model is called {name!r}; near: {near}")
    weights = models.get_model_weights(name).DEFAULT
    model = models.get_model(name, weights=weights).eval()
    return model, weights.transforms(), weights.meta["categories"]


HINTS = [
    "What does models.get_model_weights('resnet50') give you? Go through it in a loop and look at "
    "url, meta and transforms of every entry. Which one is DEFAULT?",
    "Ask models.list_models(module=models) whether the name is there; difflib.get_close_matches "
    "finds near ones. Then get_model_weights(name).DEFAULT holds all: get_model(name, weights=...) "
    "builds the model and loads its file.",
    "weights = models.get_model_weights(name).DEFAULT; model = models.get_model(name, "
    "weights=weights).eval(); then return model, weights.transforms() and "
    "weights.meta['categories']. transforms is called: it makes the preprocessing.",
]


def _known(name):
    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(f"no {name!r}; near: {difflib.get_close_matches(name, known)}")
    return models.get_model_weights(name)


@right(pretrained)
def by_builder(name):
    """The builder is an attribute of torchvision.models, and takes a string as well."""
    weights = _known(name)["DEFAULT"]
    model = getattr(models, name)(weights="DEFAULT", progress=False)
    return model.train(False), weights.transforms(), list(weights.meta["categories"])


@right(pretrained)
def state_loaded_by_hand(name):
    weights = _known(name).DEFAULT
    model = models.get_model_builder(name)(weights=None)
    state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    model.load_state_dict(state)
    for module in model.modules():
        module.training = False
    preset = weights.transforms()
    return model, lambda image: preset(image), [*weights.meta["categories"]]


@right(pretrained)
def all_names_in_the_refusal(name):
    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(f"{name!r} is not one of {', '.join(known)}")
    entry = f"{models.get_model_weights(name).__name__}.DEFAULT"
    weights = models.get_weight(entry)
    model = models.get_model(name, weights=entry)
    return model.eval(), weights.transforms(), weights.meta["categories"]


def _three(name, weights):
    model = models.get_model(name, weights=weights).eval()
    return model, weights.transforms(), weights.meta["categories"]


@wrong(pretrained)
def random_weights(name):
    """the model has random weights: without weights= only the architecture is built"""
    weights = _known(name).DEFAULT
    return models.get_model(name).eval(), weights.transforms(), weights.meta["categories"]


@wrong(pretrained)
def parameters_only(name):
    """only the parameters are loaded, not the buffers: batch norm has fresh statistics"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    fresh = dict(models.get_model(name).named_buffers())
    for place, buffer in model.named_buffers():
        buffer.copy_(fresh[place])
    return model, preprocess, categories


@wrong(pretrained)
def train_mode(name):
    """the model is in train mode, as torchvision builds it: dropout drops, batch norm drifts"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    return model.train(), preprocess, categories


@wrong(pretrained)
def only_the_root_in_eval(name):
    """only the root is in eval: model.training = False does not reach its parts"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    model.train().training = False
    return model, preprocess, categories


@wrong(pretrained)
def v1_for_all(name):
    """IMAGENET1K_V1 for every model: many have better weights, and DEFAULT names them"""
    return _three(name, _known(name)["IMAGENET1K_V1"])


@wrong(pretrained)
def v2_for_all(name):
    """IMAGENET1K_V2 for every model: many have no such weights"""
    return _three(name, _known(name)["IMAGENET1K_V2"])


@wrong(pretrained)
def v2_else_v1(name):
    """IMAGENET1K_V2 where there is one, else IMAGENET1K_V1: some models have neither"""
    entries = _known(name)
    return _three(name, getattr(entries, "IMAGENET1K_V2", None) or entries.IMAGENET1K_V1)


@wrong(pretrained)
def random_where_it_fails(name):
    """a download that fails is passed over: a model with random weights comes back"""
    weights = _known(name).DEFAULT
    try:
        return _three(name, weights)
    except OSError:
        model = models.get_model(name).eval()
        return model, weights.transforms(), weights.meta["categories"]


@wrong(pretrained)
def last_of_the_enum(name):
    """the last weights of the enum are taken: they need not be those that DEFAULT names"""
    return _three(name, list(_known(name))[-1])


@wrong(pretrained)
def folder_of_its_own(name):
    """the file goes into a folder of its own: torch's hub cache, where it is, is not looked into"""
    weights = _known(name).DEFAULT
    model = models.get_model(name)
    model.load_state_dict(weights.get_state_dict(model_dir=tempfile.mkdtemp()))
    return model.eval(), weights.transforms(), weights.meta["categories"]


@wrong(pretrained)
def through_torch_hub(name):
    """torch.hub.load fetches torchvision's source from GitHub: it is installed already"""
    weights = _known(name).DEFAULT
    model = torch.hub.load("pytorch/vision", name, weights="DEFAULT", skip_validation=True)
    return model.eval(), weights.transforms(), weights.meta["categories"]


def _own_transform(resize, crop, mean, std):
    from torchvision import transforms

    return transforms.Compose([
        transforms.Resize(resize), transforms.CenterCrop(crop),
        transforms.ConvertImageDtype(torch.float), transforms.Normalize(mean, std),
    ])  # fmt: skip


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@wrong(pretrained)
def own_constants(name):
    """preprocess is your own, resize 256 and crop 224: these weights were tested with another"""
    model, _, categories = _three(name, _known(name).DEFAULT)
    return model, _own_transform(256, 224, _MEAN, _STD), categories


@wrong(pretrained)
def preprocess_of_the_first(name):
    """preprocess is that of the enum's first weights, the model has those of DEFAULT"""
    model, _, categories = _three(name, _known(name).DEFAULT)
    return model, next(iter(_known(name))).transforms(), categories


@wrong(pretrained)
def own_half_constants(name):
    """preprocess normalises with 0.5, not with the statistics that these weights know"""
    model, _, categories = _three(name, _known(name).DEFAULT)
    return model, _own_transform(256, 224, (0.5,) * 3, (0.5,) * 3), categories


@wrong(pretrained)
def interpolation_forgotten(name):
    """preprocess has the right sizes, but always resizes bilinearly: some weights want bicubic"""
    model, preset, categories = _three(name, _known(name).DEFAULT)
    own = _own_transform(preset.resize_size, preset.crop_size, preset.mean, preset.std)
    return model, own, categories


@wrong(pretrained)
def not_normalised(name):
    """preprocess resizes and crops, but does not normalise"""
    model, preset, categories = _three(name, _known(name).DEFAULT)
    preset.mean, preset.std = [0.0] * 3, [1.0] * 3
    return model, preset, categories


@wrong(pretrained)
def squeezed_to_a_square(name):
    """preprocess squeezes every image to a square instead of cropping one out of it"""
    model, preset, categories = _three(name, _known(name).DEFAULT)
    preset.resize_size = preset.crop_size * 2
    return model, preset, categories


@wrong(pretrained)
def transforms_not_called(name):
    """transforms is not called: what it would make is the preprocessing"""
    model, _, categories = _three(name, _known(name).DEFAULT)
    return model, _known(name).DEFAULT.transforms, categories


@wrong(pretrained)
def batched(name):
    """preprocess adds a batch axis"""
    model, preset, categories = _three(name, _known(name).DEFAULT)
    return model, lambda image: preset(image)[None], categories


@wrong(pretrained)
def number_of_categories(name):
    """the number of categories is returned, not their names"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    return model, preprocess, len(categories)


@wrong(pretrained)
def sorted_categories(name):
    """the categories are sorted: they no longer stand where their logits are"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    return model, preprocess, sorted(categories)


@wrong(pretrained)
def indices_for_categories(name):
    """the categories are numbers, not names"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    return model, preprocess, list(range(len(categories)))


@wrong(pretrained)
def categories_by_index(name):
    """the categories are a dict from index to name, not a list"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    return model, preprocess, dict(enumerate(categories))


@wrong(pretrained)
def whole_meta(name):
    """all of meta is returned, not its categories"""
    model, preprocess, _ = _three(name, _known(name).DEFAULT)
    return model, preprocess, _known(name).DEFAULT.meta


@wrong(pretrained)
def weights_returned(name):
    """the weights' entry is returned in place of its categories"""
    model, preprocess, _ = _three(name, _known(name).DEFAULT)
    return model, preprocess, _known(name).DEFAULT


@wrong(pretrained)
def other_order(name):
    """preprocess comes before the model: the order is model, preprocess, categories"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    return preprocess, model, categories


@wrong(pretrained)
def model_alone(name):
    """only the model is returned, without what belongs to it"""
    return _three(name, _known(name).DEFAULT)[0]


@wrong(pretrained)
def with_probabilities(name):
    """a softmax follows the model: logits are wanted"""
    model, preprocess, categories = _three(name, _known(name).DEFAULT)
    model.register_forward_hook(lambda module, args, out: out.softmax(1))
    return model, preprocess, categories


@wrong(pretrained)
def remembered(name):
    """two calls return the same model: who trains one changes the other"""
    return _once(name)


_once = functools.cache(pretrained)


def _refusing(name, known, near):
    if name not in known:
        raise ValueError(f"no model is called {name!r}{near(name, known)}")
    return _three(name, models.get_model_weights(name).DEFAULT)


@wrong(pretrained)
def models_of_every_task(name):
    """list_models without module: models that find or outline objects are not refused"""
    known = models.list_models()
    return _refusing(name, known, lambda *asked: f"; near: {difflib.get_close_matches(*asked)}")


@wrong(pretrained)
def capitals_accepted(name):
    """the name is made lower case first: 'ResNet18' is not refused"""
    return pretrained(name.lower())


@wrong(pretrained)
def no_near_names(name):
    """the refusal holds no near names: a learner of the API is left to guess"""
    return _refusing(name, models.list_models(module=models), lambda *asked: "")


@wrong(pretrained)
def first_names(name):
    """the refusal holds the first names of the list, not those near the one given"""
    known = models.list_models(module=models)
    return _refusing(name, known, lambda name, known: f"; there are {known[:3]}")


@wrong(pretrained)
def nearest_taken(name):
    """an unknown name is not refused: the nearest model is taken without a word"""
    known = models.list_models(module=models)
    return pretrained(next(iter(difflib.get_close_matches(name, known)), name))


@wrong(pretrained)
def resnet18_for_unknown(name):
    """an unknown name is not refused: it gets a resnet18"""
    return pretrained(name if name in models.list_models(module=models) else "resnet18")


@wrong(pretrained)
def attribute_error(name):
    """an unknown name is not refused: getattr stops with an AttributeError"""
    getattr(models, name)
    return _three(name, models.get_model_weights(name).DEFAULT)


@wrong(pretrained)
def none_for_unknown(name):
    """an unknown name gives None instead of a refusal"""
    return pretrained(name) if name in models.list_models(module=models) else None
