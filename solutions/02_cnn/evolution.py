"""Which remedy for which symptom? How architectures grew, as a chain of problems and answers."""

from dojo import right, wrong


def remedy(symptoms: dict[str, float]) -> str | None:
    """Name what history would prescribe for a network with these measured symptoms.

    Each step from LeNet to ResNet answered a problem of the one before. The symptoms are looked
    at in the order in which they came up, and the first one that holds decides:

    1. The gradient dies on its way: `gradient_survival` is below 0.01. "relu".
    2. A unit sees less than the object: `receptive_field` is below `image_size`.
       "small_filters", more of them.
    3. Deeper is worse on the training data: `deep_train_error` is above `shallow_train_error`
       by more than 0.02. "residual".
    4. Overfitting: `deep_test_error` is above `deep_train_error` by more than 0.1.
       "global_average_pooling" if the dense layers hold most of the parameters, that is if
       `dense_share` is above 0.5, else "dropout".

    Every symptom may be missing, and what was not measured is healthy. `shallow_test_error` may
    be there and decides nothing. The order of the dict means nothing, and it is not changed.

    Shapes:
        symptoms: the names above, with errors and shares as fractions of 1, sizes in pixels
        returns: "relu", "small_filters", "residual", "global_average_pooling", "dropout" or
            None

    Example:
        >>> remedy({"deep_train_error": 0.30, "shallow_train_error": 0.20})
        'residual'

    Raises:
        ValueError: a name that is none of these.

    Source: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional
        Neural Networks, 2012; Simonyan & Zisserman, arXiv:1409.1556; He, Zhang, Ren & Sun,
        arXiv:1512.03385; Lin, Chen & Yan, arXiv:1312.4400.
    """
    unknown = sorted(map(str, set(symptoms) - set(_KNOWN)))
    if unknown:
        raise ValueError(f"unknown symptoms: {', '.join(unknown)}; known: {', '.join(_KNOWN)}")
    measured = symptoms.get
    if measured("gradient_survival", 1.0) < 0.01:
        return "relu"
    if _above(measured("image_size"), measured("receptive_field")):
        return "small_filters"
    if _above(measured("deep_train_error"), measured("shallow_train_error"), by=0.02):
        return "residual"
    if _above(measured("deep_test_error"), measured("deep_train_error"), by=0.1):
        dense = measured("dense_share", 0.0) > 0.5
        return "global_average_pooling" if dense else "dropout"
    return None


_KNOWN = (
    "gradient_survival", "receptive_field", "image_size", "shallow_train_error",
    "deep_train_error", "shallow_test_error", "deep_test_error", "dense_share",
)  # fmt: skip


def _above(a: float | None, b: float | None, by: float = 0.0) -> bool:
    """Whether a lies above b by more than `by`; what was not measured is healthy."""
    return a is not None and b is not None and a > b + by


HINTS = [
    "Two networks are compared on their training data and on their test data. Which of the two "
    "comparisons tells degradation from overfitting?",
    "Look at the four symptoms in their own order, not in the dict's, and leave at the first that "
    "holds. A symptom of two numbers holds only where both were measured.",
    "Check the names first (set(symptoms) - known). Then four ifs with symptoms.get: survival "
    "below 0.01; field below image size; deep train above shallow train + 0.02; deep test above "
    "deep train + 0.1, with dense_share above 0.5 deciding between the two answers.",
]


def _decided(symptoms, *, order="gsro", tests=None, known=_KNOWN):
    """The answer with one part exchanged."""
    if set(symptoms) - set(known):
        raise ValueError("unknown symptoms")
    rules = _RULES | (tests or {})
    for letter in order:
        found = rules[letter](symptoms.get)
        if found:
            return found
    return None


def _overfits(get):
    if not _above(get("deep_test_error"), get("deep_train_error"), by=0.1):
        return None
    return "global_average_pooling" if get("dense_share", 0.0) > 0.5 else "dropout"


_RULES = {
    "g": lambda get: "relu" if get("gradient_survival", 1.0) < 0.01 else None,
    "s": lambda get: "small_filters" if _above(get("image_size"), get("receptive_field")) else None,
    "r": lambda get: (
        "residual" if _above(get("deep_train_error"), get("shallow_train_error"), by=0.02) else None
    ),
    "o": _overfits,
}


@right(remedy)
def by_a_table(symptoms):
    return _decided(symptoms)


@right(remedy)
def by_infinities(symptoms):
    """What was not measured gets a number with which its comparison cannot hold."""
    low, high = float("-inf"), float("inf")
    if not all(name in _KNOWN for name in symptoms):
        raise ValueError("unknown")
    values = {"gradient_survival": high, "dense_share": low} | symptoms
    relu = values["gradient_survival"] < 0.01
    small = values.get("receptive_field", high) < values.get("image_size", low)
    deep, shallow = values.get("deep_train_error", low), values.get("shallow_train_error", high)
    tested, trained = values.get("deep_test_error", low), values.get("deep_train_error", high)
    fits = tested > trained + 0.1
    answers = [(relu, "relu"), (small, "small_filters"), (deep > shallow + 0.02, "residual"),
               (fits and values["dense_share"] > 0.5, "global_average_pooling"),
               (fits, "dropout")]  # fmt: skip
    return next((name for holds, name in answers if holds), None)


@right(remedy)
def by_matching(symptoms):
    for name in symptoms:
        if name not in set(_KNOWN):
            raise ValueError(name)
    match symptoms:
        case {"gradient_survival": survival} if survival < 0.01:
            return "relu"
        case {"receptive_field": field, "image_size": size} if field < size:
            return "small_filters"
        case {"deep_train_error": deep, "shallow_train_error": flat} if deep > flat + 0.02:
            return "residual"
        case {"deep_test_error": test, "deep_train_error": train} if test > train + 0.1:
            dense = symptoms.get("dense_share")
            return "dropout" if dense is None or dense <= 0.5 else "global_average_pooling"
        case _:
            return None


@wrong(remedy)
def healthy_ends_the_search(symptoms):
    """what was measured and is healthy ends the search: the problems after it are not looked at"""
    found = _decided(symptoms)
    pairs = {"small_filters": {"receptive_field", "image_size"},
             "residual": {"deep_train_error", "shallow_train_error"}}  # fmt: skip
    for remedy_, pair in pairs.items():
        if found in ("relu", remedy_):
            return found
        if pair <= set(symptoms):
            return None
    return found


@wrong(remedy)
def degradation_by_test_errors(symptoms):
    """degradation is told by the test errors of both, not by their training errors"""
    rule = lambda get: (  # noqa: E731
        "residual" if _above(get("deep_test_error"), get("shallow_test_error"), by=0.02) else None
    )
    return _decided(symptoms, tests={"r": rule})


@wrong(remedy)
def degradation_is_overfitting(symptoms):
    """degradation is taken for overfitting: a deeper one that is worse in training gets dropout"""
    found = remedy(symptoms)
    return "dropout" if found == "residual" else found


@wrong(remedy)
def overfitting_against_the_shallow_one(symptoms):
    """overfitting is told by the deep test error against the shallow one, not the deep training"""
    rule = lambda get: (  # noqa: E731
        None
        if not _above(get("deep_test_error"), get("shallow_test_error"), by=0.1)
        else "global_average_pooling" if get("dense_share", 0.0) > 0.5 else "dropout"
    )  # fmt: skip
    return _decided(symptoms, tests={"o": rule})


@wrong(remedy)
def overfitting_against_the_shallow_training(symptoms):
    """overfitting is told by the deep test error against the shallow training, not the deep one"""
    rule = lambda get: (  # noqa: E731
        _cure(get) if _above(get("deep_test_error"), get("shallow_train_error"), by=0.1) else None
    )
    return _decided(symptoms, tests={"o": rule})


@wrong(remedy)
def in_the_dicts_order(symptoms):
    """the dict's order decides which symptom comes first"""
    remedy(symptoms)
    letters = {"gradient_survival": "g", "receptive_field": "s", "image_size": "s",
               "shallow_train_error": "r", "deep_test_error": "o"}  # fmt: skip
    order = [letters[name] for name in symptoms if name in letters]
    return _decided(symptoms, order=order)


@wrong(remedy)
def last_one_decides(symptoms):
    """the last symptom that holds decides, not the first"""
    return _decided(symptoms, order="orsg")


@wrong(remedy)
def overfitting_first(symptoms):
    """overfitting is looked at before degradation"""
    return _decided(symptoms, order="gsor")


@wrong(remedy)
def field_first(symptoms):
    """the receptive field is looked at before the gradient"""
    return _decided(symptoms, order="sgro")


@wrong(remedy)
def degradation_before_the_field(symptoms):
    """degradation is looked at before the receptive field"""
    return _decided(symptoms, order="grso")


@wrong(remedy)
def survival_of_just_0_01(symptoms):
    """a survival of just 0.01 counts as dead (<= for <)"""
    rule = lambda get: "relu" if get("gradient_survival", 1.0) <= 0.01 else None  # noqa: E731
    return _decided(symptoms, tests={"g": rule})


@wrong(remedy)
def field_of_just_the_image(symptoms):
    """a field just as large as the image counts as too small (<= for <)"""

    def rule(get):
        field, size = get("receptive_field"), get("image_size")
        both = field is not None and size is not None
        return "small_filters" if both and field <= size else None

    return _decided(symptoms, tests={"s": rule})


def _at_least(deep, shallow, by, found):
    def rule(get):
        a, b = get(deep), get(shallow)
        holds = a is not None and b is not None and a >= b + by
        return found(get) if holds else None

    return rule


@wrong(remedy)
def degradation_of_just_0_02(symptoms):
    """a training error higher by just 0.02 counts as degradation (>= for >)"""
    rule = _at_least("deep_train_error", "shallow_train_error", 0.02, lambda get: "residual")
    return _decided(symptoms, tests={"r": rule})


@wrong(remedy)
def degradation_by_any_amount(symptoms):
    """any higher training error counts as degradation: the 0.02 are forgotten"""
    rule = lambda get: (  # noqa: E731
        "residual" if _above(get("deep_train_error"), get("shallow_train_error")) else None
    )
    return _decided(symptoms, tests={"r": rule})


def _cure(get):
    return "global_average_pooling" if get("dense_share", 0.0) > 0.5 else "dropout"


@wrong(remedy)
def overfitting_of_just_0_1(symptoms):
    """a gap of just 0.1 counts as overfitting (>= for >)"""
    rule = _at_least("deep_test_error", "deep_train_error", 0.1, _cure)
    return _decided(symptoms, tests={"o": rule})


@wrong(remedy)
def overfitting_by_any_amount(symptoms):
    """any gap counts as overfitting: the 0.1 is forgotten"""
    rule = lambda get: (  # noqa: E731
        _cure(get) if _above(get("deep_test_error"), get("deep_train_error")) else None
    )
    return _decided(symptoms, tests={"o": rule})


@wrong(remedy)
def dense_is_enough(symptoms):
    """a large dense share is treated without overfitting: by itself it is no symptom"""
    found = remedy(symptoms)
    measured = {"deep_test_error", "deep_train_error", "dense_share"} <= symptoms.keys()
    if found is None and measured and symptoms["dense_share"] > 0.5:
        return "global_average_pooling"
    return found


@wrong(remedy)
def degradation_must_show_in_tests(symptoms):
    """degradation must show in the test errors too: they decide nothing about it"""
    found = remedy(symptoms)
    tests = symptoms.get("deep_test_error", 1.0), symptoms.get("shallow_test_error", 0.0)
    return None if found == "residual" and tests[0] <= tests[1] else found


@wrong(remedy)
def half_is_most(symptoms):
    """a dense share of just 0.5 counts as most (>= for >)"""
    found = remedy(symptoms)
    half = symptoms.get("dense_share") == 0.5
    return "global_average_pooling" if found == "dropout" and half else found


@wrong(remedy)
def always_dropout(symptoms):
    """dense_share is not looked at: overfitting always gets dropout"""
    found = remedy(symptoms)
    return "dropout" if found == "global_average_pooling" else found


@wrong(remedy)
def shares_exchanged(symptoms):
    """the two answers to overfitting are exchanged"""
    found = remedy(symptoms)
    other = {"dropout": "global_average_pooling", "global_average_pooling": "dropout"}
    return other.get(found, found)


@wrong(remedy)
def missing_is_zero(symptoms):
    """what was not measured counts as 0, not as healthy"""
    if set(symptoms) - set(_KNOWN):
        raise ValueError("unknown")
    return remedy(dict.fromkeys(_KNOWN, 0.0) | symptoms)


@wrong(remedy)
def all_must_be_there(symptoms):
    """every symptom must be there: a missing one raises KeyError"""
    if set(symptoms) - set(_KNOWN):
        raise ValueError("unknown")
    _ = [symptoms[name] for name in _KNOWN]
    return remedy(symptoms)


@wrong(remedy)
def zero_is_missing(symptoms):
    """a measured 0 counts as not measured"""
    return remedy({name: value for name, value in symptoms.items() if value or name not in _KNOWN})


@wrong(remedy)
def unknown_ignored(symptoms):
    """unknown symptoms are ignored instead of being refused"""
    return remedy({name: value for name, value in symptoms.items() if name in _KNOWN})


@wrong(remedy)
def shallow_test_unknown(symptoms):
    """shallow_test_error is refused as unknown"""
    if "shallow_test_error" in symptoms:
        raise ValueError("unknown")
    return remedy(symptoms)


@wrong(remedy)
def healthy_in_words(symptoms):
    """for a healthy network it returns a word, not None"""
    return remedy(symptoms) or "healthy"


@wrong(remedy)
def taken_out(symptoms):
    """the dict handed in is emptied (pop)"""
    found = remedy(symptoms)
    symptoms.clear()
    return found
