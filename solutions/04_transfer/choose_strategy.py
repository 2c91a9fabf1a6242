"""How much of a pretrained network to train: a decision from two facts about the new images."""

from enum import Enum

from dojo import right, wrong

LARGE = 5_000  # from this many images on, all classes together, a set is large


class Strategy(Enum):
    """What is trained; the two on features leave frozen all that was pretrained."""

    FEATURES = "new head on the last features"
    FEATURES_EARLY = "new head on early activations"
    FINE_TUNE = "pretrained layers, small rates"
    FINE_TUNE_ALL = "every layer, pretrained a start"


def choose_strategy(images: int, similar: bool) -> Strategy:
    """Choose what to train, from how many images there are and how like those of pretraining.

    Few images cannot settle millions of weights: a network that trains on them learns them by
    heart. So all of it stays frozen, and only a new head learns. What feeds that head must then
    suit the images as it is: early layers see edges and textures, which all images have, late
    layers see the parts of things that they were pretrained on. Many images can afford to move
    the layers below the head, and the question becomes how far these have to go.

    Shapes:
        images: the number of images, all classes together; LARGE of them are already many
        similar: whether they are of the kind that the network was pretrained on
        returns: a member of Strategy

    Example:
        >>> choose_strategy(1_500, similar=True).name
        'FEATURES'

    Raises:
        ValueError: images is not an int (True, 100.0 and "100" are none) or below 1; similar is
            not a bool (1 and "yes" are none).

    Source: Yosinski et al., How transferable are features in deep neural networks?,
        arXiv:1411.1792, sections 2 and 4; Stanford CS231n, course notes, Transfer learning.
    """
    if isinstance(images, bool) or not isinstance(images, int) or images < 1:
        raise ValueError(f"images is {images!r}, it must be an int from 1 on")
    if not isinstance(similar, bool):
        raise ValueError(f"similar is {similar!r}, it must be True or False")
    if images >= LARGE:
        return Strategy.FINE_TUNE if similar else Strategy.FINE_TUNE_ALL
    return Strategy.FEATURES if similar else Strategy.FEATURES_EARLY


HINTS = [
    "Draw a table of two rows, few and many, and two columns, similar and different. In which "
    "row would training the whole network only learn the images by heart? In which column are "
    "the last layers of little use as they are?",
    "The row decides whether the pretrained layers stay frozen, the column how much of what they "
    "know is still good: which layer feeds the head, or how far the layers have to move. Refuse "
    "first, then decide. Beware: True is an int to Python.",
    "isinstance(images, bool) or not isinstance(images, int) or images < 1 is refused. From LARGE "
    "on it is one of the two that fine-tune, below one of the two on features. Where images are "
    "similar it is the first of its two in Strategy, else the second.",
]


def _checked(images, similar):
    if type(images) is not int or images < 1 or type(similar) is not bool:
        raise ValueError(f"images {images!r} or similar {similar!r} is bad")


@right(choose_strategy)
def by_table(images, similar):
    _checked(images, similar)
    table = {
        (False, True): Strategy.FEATURES,
        (False, False): Strategy.FEATURES_EARLY,
        (True, True): Strategy.FINE_TUNE,
        (True, False): Strategy.FINE_TUNE_ALL,
    }
    return table[images >= LARGE, similar]


@right(choose_strategy)
def by_place(images, similar):
    """The members are numbered in binary: the set's size, then whether it is different."""
    _checked(images, similar)
    return list(Strategy)[2 * (images > LARGE - 1) + (not similar)]


@right(choose_strategy)
def by_match(images, similar):
    match images, similar:
        case (bool(), _):
            raise ValueError("images is a bool")
        case (int(n), True | False) if n > 0 and similar.__class__ is bool:
            early = "" if similar else "_EARLY"
            everything = "" if similar else "_ALL"
            return Strategy["FEATURES" + early if n < 5000 else "FINE_TUNE" + everything]
    raise ValueError("images or similar is bad")


_QUADRANTS = ("FEATURES", "FEATURES_EARLY", "FINE_TUNE", "FINE_TUNE_ALL")


def _choose(images, similar, names=_QUADRANTS, large=LARGE):
    """By the names for few and similar, few and different, many and similar, many and different."""
    return Strategy[names[2 * (images >= large) + (not similar)]]


@wrong(choose_strategy)
def axes_exchanged(images, similar):
    """the axes are exchanged: few but different get what many and similar should, and back"""
    _checked(images, similar)
    return _choose(images, similar, ("FEATURES", "FINE_TUNE", "FEATURES_EARLY", "FINE_TUNE_ALL"))


@wrong(choose_strategy)
def facts_exchanged(images, similar):
    """similarity decides whether layers train along, and the number of images how many"""
    _checked(images, similar)
    return _choose(images, similar, ("FINE_TUNE_ALL", "FEATURES_EARLY", "FINE_TUNE", "FEATURES"))


@wrong(choose_strategy)
def similar_upside_down(images, similar):
    """similar is read upside down: similar images get what different ones should"""
    _checked(images, similar)
    return _choose(images, not similar)


@wrong(choose_strategy)
def size_upside_down(images, similar):
    """the size is read upside down: few images train the network, many leave it frozen"""
    _checked(images, similar)
    return _choose(images, similar, _QUADRANTS[2:] + _QUADRANTS[:2])


@wrong(choose_strategy)
def both_upside_down(images, similar):
    """both facts are read upside down: few and similar get what many and different should"""
    _checked(images, similar)
    return _choose(images, similar, _QUADRANTS[::-1])


@wrong(choose_strategy)
def similarity_ignored(images, similar):
    """only the number of images counts: whether they are similar is ignored"""
    _checked(images, similar)
    return _choose(images, True)


@wrong(choose_strategy)
def size_ignored(images, similar):
    """only the similarity counts: how many images there are is ignored"""
    _checked(images, similar)
    return _choose(1, similar)


@wrong(choose_strategy)
def last_features_for_different(images, similar):
    """few different images get the last features, which know the parts of other things"""
    _checked(images, similar)
    return _choose(images, similar, ("FEATURES", "FEATURES", "FINE_TUNE", "FINE_TUNE_ALL"))


@wrong(choose_strategy)
def different_always_retrained(images, similar):
    """different images always train every layer: few of them are learnt by heart"""
    _checked(images, similar)
    return _choose(images, similar, ("FEATURES", "FINE_TUNE_ALL", "FINE_TUNE", "FINE_TUNE_ALL"))


@wrong(choose_strategy)
def small_rates_for_different(images, similar):
    """many different images are fine-tuned at small rates, like many similar ones"""
    _checked(images, similar)
    return _choose(images, similar, ("FEATURES", "FEATURES_EARLY", "FINE_TUNE", "FINE_TUNE"))


@wrong(choose_strategy)
def everything_for_many(images, similar):
    """many images always train every layer from a mere start, similar ones too"""
    _checked(images, similar)
    return _choose(images, similar, ("FEATURES", "FEATURES_EARLY", "FINE_TUNE_ALL", _QUADRANTS[3]))


@wrong(choose_strategy)
def fine_tunes_exchanged(images, similar):
    """the two fine-tunings are exchanged: similar images move every layer, different ones few"""
    _checked(images, similar)
    return _choose(images, similar, ("FEATURES", "FEATURES_EARLY", "FINE_TUNE_ALL", "FINE_TUNE"))


@wrong(choose_strategy)
def features_exchanged(images, similar):
    """the two feature extractions are exchanged: similar images get the early layers"""
    _checked(images, similar)
    return _choose(images, similar, ("FEATURES_EARLY", "FEATURES", "FINE_TUNE", "FINE_TUNE_ALL"))


@wrong(choose_strategy)
def large_is_more_than_large(images, similar):
    """exactly LARGE images count as few (> where >= is meant)"""
    _checked(images, similar)
    return _choose(images, similar, large=LARGE + 1)


@wrong(choose_strategy)
def large_is_one_less(images, similar):
    """one image less than LARGE counts as many"""
    _checked(images, similar)
    return _choose(images, similar, large=LARGE - 1)


@wrong(choose_strategy)
def large_per_class(images, similar):
    """the limit is lower than LARGE, as if it were meant for each class"""
    _checked(images, similar)
    return _choose(images, similar, large=LARGE // 10)


@wrong(choose_strategy)
def large_is_ten_times_larger(images, similar):
    """the limit is higher than LARGE: tens of thousands of images count as few"""
    _checked(images, similar)
    return _choose(images, similar, large=LARGE * 10)


@wrong(choose_strategy)
def names_as_strings(images, similar):
    """a string is returned, the name of a member of Strategy, not the member"""
    return choose_strategy(images, similar).name


@wrong(choose_strategy)
def values_as_strings(images, similar):
    """a string is returned, the value of a member of Strategy, not the member"""
    return choose_strategy(images, similar).value


@wrong(choose_strategy)
def nothing_refused(images, similar):
    """nothing is refused: no images at all get a strategy"""
    try:
        return _choose(images, similar)
    except TypeError:
        return Strategy.FEATURES


@wrong(choose_strategy)
def zero_images_accepted(images, similar):
    """0 images get a strategy: only negative numbers are refused"""
    _checked(1 if type(images) is int and images == 0 else images, similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def negative_images_accepted(images, similar):
    """a negative number of images gets a strategy: only 0 is refused"""
    _checked(abs(images) if type(images) is int else images, similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def one_image_refused(images, similar):
    """a single image is refused: 1 is the fewest that are allowed"""
    _checked(images - 1 if type(images) is int else images, similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def true_is_one_image(images, similar):
    """True counts as 1 image: a bool is an int to Python, and to isinstance"""
    _checked(int(images) if isinstance(images, bool) else images, similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def kind_of_images_unchecked(images, similar):
    """a number of images that is no int is not refused"""
    _checked(1 if type(images) is float and images >= 1 else images, similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def whole_floats_accepted(images, similar):
    """a float without a fraction passes for an int: only fractions are refused"""
    _checked(int(images) if type(images) is float and images % 1 == 0 else images, similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def images_converted(images, similar):
    """int(images) lets floats and strings of digits pass"""
    _checked(images if type(images) is bool or images is None else int(images), similar)
    return _choose(int(images), similar)


@wrong(choose_strategy)
def wrong_kinds_raise_type_error(images, similar):
    """arguments of the wrong kind raise a TypeError, not a ValueError"""
    if type(images) is not int or type(similar) is not bool:
        raise TypeError("an int and a bool are wanted")
    _checked(images, similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def truth_of_anything(images, similar):
    """similar is judged by its truth: 1, "no" and None pass for a bool"""
    _checked(images, bool(similar))
    return _choose(images, similar)


@wrong(choose_strategy)
def compared_with_true(images, similar):
    """similar is looked up among True and False, where 1 and 0 are found too (1 == True)"""
    _checked(images, bool(similar) if similar in (True, False) else similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def ints_are_bools(images, similar):
    """similar may be 1 or 0: isinstance(similar, int) holds for bools and for ints"""
    _checked(images, bool(similar) if isinstance(similar, int) else similar)
    return _choose(images, similar)


@wrong(choose_strategy)
def none_is_false(images, similar):
    """None passes for a similar of False: what is not known is refused"""
    _checked(images, False if similar is None else similar)
    return _choose(images, similar)
