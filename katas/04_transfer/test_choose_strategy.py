"""How much of a pretrained network to train: what `choose_strategy` must decide, easiest first."""

import pytest

from dojo.checks import answer, expect, refuses

choose_strategy = answer("choose_strategy")
Strategy = answer("Strategy")
LARGE = answer("LARGE")

SIMILAR = pytest.mark.parametrize("similar", [True, False], ids=["similar", "different"])
ANY = ["FEATURES", "FEATURES_EARLY", "FINE_TUNE", "FINE_TUNE_ALL"]


def chooses(images, similar, wanted):
    """The answer to these two facts is the member called `wanted`, not merely its name."""
    got = choose_strategy(images, similar)
    member = getattr(Strategy, wanted)
    named = next((name for name in ANY if got is getattr(Strategy, name)), None)
    text = f"Strategy.{named}" if named else f"{got!r} (of type {type(got).__name__})"
    facts = f"{images:,} {'similar' if similar else 'different'} images"
    message = f"for {facts} you chose {text}, expected Strategy.{wanted}"
    expect(got is member, message, named or ("no member", got))


@pytest.mark.parametrize(
    ("images", "similar", "wanted"),
    [(800, True, "FEATURES"), (800, False, "FEATURES_EARLY"),
     (20_000, True, "FINE_TUNE"), (20_000, False, "FINE_TUNE_ALL")],
)  # fmt: skip
def test_each_of_the_four_cases_has_a_strategy_of_its_own(images, similar, wanted):
    """Few or many images, similar or different ones: four cases, four members of Strategy."""
    chooses(images, similar, wanted)
    members = [getattr(Strategy, name) for name in ANY]
    alike = [name for name in ANY if members.count(getattr(Strategy, name)) > 1]
    expect(not alike, f"{', '.join(alike)} are one member of Strategy: their values are equal",
           alike)  # fmt: skip


@pytest.mark.parametrize("images", [1, 2, 499, 500, 4_999])
@SIMILAR
def test_below_large_images_are_few(images, similar):
    """Up to 4,999 images are few, a single one too: the pretrained layers stay frozen."""
    chooses(images, similar, "FEATURES" if similar else "FEATURES_EARLY")


@pytest.mark.parametrize("images", [5_000, 5_001, 49_999, 10**9])
@SIMILAR
def test_from_large_on_images_are_many(images, similar):
    """5,000 images are many already: the pretrained layers train along."""
    chooses(images, similar, "FINE_TUNE" if similar else "FINE_TUNE_ALL")


@SIMILAR
def test_any_number_of_images(rng, similar):
    """Nothing but the side of LARGE counts, and nothing of an earlier call."""
    for _ in range(20):
        few, many = int(rng.integers(1, 5_000)), int(rng.integers(5_000, 200_000))
        chooses(few, similar, "FEATURES" if similar else "FEATURES_EARLY")
        chooses(many, similar, "FINE_TUNE" if similar else "FINE_TUNE_ALL")
    large = LARGE.resolve()
    expect(large == 5_000, f"LARGE is {large!r}, the stub says 5_000", large)


@SIMILAR
@pytest.mark.parametrize("images", [0, -1, -6_000])
def test_less_than_one_image_is_refused(images, similar):
    """Without an image there is nothing to train on: a ValueError."""
    refuses(choose_strategy, images, similar, because=f"{images} images")


@SIMILAR
@pytest.mark.parametrize("images", [True, False])
def test_a_bool_is_no_number_of_images(images, similar):
    """True is an int to Python; as a number of images it is a mistake: a ValueError."""
    refuses(choose_strategy, images, similar, because=f"images {images}, a bool")


@SIMILAR
@pytest.mark.parametrize("images", [800.5, 0.5, 800.0, 20_000.0, "800", None])
def test_what_is_no_int_is_no_number_of_images(images, similar):
    """Images are counted: a float, also 800.0, a string or None is refused with a ValueError."""
    because = f"images {images!r}, which is no int"
    refuses(choose_strategy, images, similar, because=because)


@pytest.mark.parametrize("images", [800, 20_000])
@pytest.mark.parametrize("similar", ["yes", "no", None, 1.0, 1, 0, 0.7])
def test_what_is_no_bool_says_nothing_about_similarity(images, similar):
    """1, None, "no" or a share of 0.7 is refused with a ValueError: only True and False are said.

    The truth of a string is not what it says: bool("no") is True.
    """
    because = f"similar {similar!r}, which is no bool"
    refuses(choose_strategy, images, similar, because=because)
