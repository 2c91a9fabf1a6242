"""Which remedy for which symptom? What `remedy` must do, easiest first."""

import itertools

import pytest

from dojo.checks import answer, refuses, same_value

remedy = answer("remedy")

# one set of symptoms for each problem, in the order of history
DYING = {"gradient_survival": 0.25**19}
SHORT = {"receptive_field": 18, "image_size": 224}
DEGRADED = {"deep_train_error": 0.30, "shallow_train_error": 0.20}
DENSE = {"deep_test_error": 0.45, "dense_share": 0.9, "deep_train_error": 0.30}
OVERFIT = {"deep_test_error": 0.45, "deep_train_error": 0.30}


@pytest.mark.parametrize(
    ("symptoms", "wanted"),
    [(DYING, "relu"), (SHORT, "small_filters"), (DEGRADED, "residual"),
     (DENSE, "global_average_pooling"), (OVERFIT, "dropout"), ({}, None)],
    ids=["dying", "short", "degraded", "dense", "overfit", "healthy"],
)  # fmt: skip
def test_each_problem_has_its_answer(symptoms, wanted):
    """One problem at a time, nothing else measured."""
    same_value(remedy(dict(symptoms)), wanted)


def survival(slope, depth):
    """The gradient that is left after `depth` layers whose slope is at most `slope`."""
    return slope**depth


def field(layers):
    """How far a unit sees through [(kernel_size, stride), ...]."""
    seen, jump = 1, 1
    for kernel_size, stride in layers:
        seen, jump = seen + (kernel_size - 1) * jump, jump * stride
    return seen


@pytest.mark.parametrize(
    ("symptoms", "wanted"),
    [({"gradient_survival": survival(0.25, 5)}, "relu"),
     ({"gradient_survival": survival(1.0, 50)}, None),
     ({"receptive_field": field([(5, 1), (2, 2), (5, 1), (2, 2)]), "image_size": 32},
      "small_filters"),
     ({"receptive_field": field([(3, 1), (3, 1), (2, 2)] * 5), "image_size": 100}, None),
     ({"dense_share": 0.9596, "deep_train_error": 0.1, "deep_test_error": 0.4},
      "global_average_pooling"),
     ({"dense_share": 0.044, "deep_train_error": 0.1, "deep_test_error": 0.4}, "dropout")],
)  # fmt: skip
def test_symptoms_as_they_are_measured(symptoms, wanted):
    """Sigmoids, ReLUs, LeNet's field and VGG's, AlexNet's dense share and a ResNet's."""
    same_value(remedy(symptoms), wanted)


@pytest.mark.parametrize(
    ("symptoms", "wanted"),
    [(DYING | SHORT, "relu"), (SHORT | DEGRADED, "small_filters"), (DEGRADED | DENSE, "residual"),
     (DEGRADED | OVERFIT, "residual"), (DYING | DEGRADED, "relu"), (SHORT | DENSE, "small_filters"),
     (DYING | OVERFIT, "relu"), (DYING | SHORT | DEGRADED | DENSE, "relu")],
)  # fmt: skip
def test_the_first_in_history_decides(symptoms, wanted):
    """Gradient before field, field before degradation, degradation before overfitting."""
    same_value(remedy(dict(symptoms)), wanted)
    same_value(remedy(dict(reversed(symptoms.items()))), wanted)


@pytest.mark.parametrize(
    ("symptoms", "wanted"),
    [(SHORT, "small_filters"), (DEGRADED, "residual"), (DENSE, "global_average_pooling"),
     (OVERFIT, "dropout")],
    ids=["short", "degraded", "dense", "overfit"],
)  # fmt: skip
def test_what_is_healthy_decides_nothing(symptoms, wanted):
    """All is measured and one thing is wrong: the search goes on behind what is healthy."""
    healthy = {"gradient_survival": 0.5, "receptive_field": 99, "image_size": 64,
               "deep_train_error": 0.3, "shallow_train_error": 0.3, "deep_test_error": 0.35,
               "shallow_test_error": 0.35, "dense_share": 0.2}  # fmt: skip
    same_value(remedy(healthy), None)
    same_value(remedy(healthy | symptoms), wanted)


def test_the_order_of_the_dict_means_nothing():
    """Written down in any order, the same symptoms get the same answer."""
    symptoms = {"deep_test_error": 0.5, "image_size": 64, "receptive_field": 10,
                "gradient_survival": 0.5}  # fmt: skip
    for order in itertools.permutations(symptoms):
        same_value(remedy({name: symptoms[name] for name in order}), "small_filters")


@pytest.mark.parametrize(
    ("symptoms", "wanted"),
    [({"gradient_survival": 0.01}, None), ({"gradient_survival": 0.0099}, "relu"),
     ({"gradient_survival": 0.0}, "relu"),
     ({"receptive_field": 32, "image_size": 32}, None),
     ({"receptive_field": 31, "image_size": 32}, "small_filters"),
     ({"receptive_field": 33, "image_size": 32}, None),
     ({"receptive_field": 0, "image_size": 1}, "small_filters"),
     ({"deep_train_error": 0.02, "shallow_train_error": 0.0}, None),
     ({"deep_train_error": 0.0201, "shallow_train_error": 0.0}, "residual"),
     ({"deep_train_error": 0.21, "shallow_train_error": 0.2}, None),
     ({"deep_train_error": 0.1, "shallow_train_error": 0.3}, None),
     ({"deep_test_error": 0.1, "deep_train_error": 0.0}, None),
     ({"deep_test_error": 0.1001, "deep_train_error": 0.0}, "dropout"),
     ({"deep_test_error": 0.25, "deep_train_error": 0.2}, None),
     ({"deep_test_error": 0.15, "deep_train_error": 0.1, "dense_share": 0.9}, None),
     ({"deep_test_error": 0.1, "deep_train_error": 0.5}, None),
     (OVERFIT | {"shallow_train_error": 0.5}, "dropout"),
     ({"deep_test_error": 0.35, "deep_train_error": 0.26, "shallow_train_error": 0.245}, None),
     ({"gradient_survival": 50.0}, None),
     (OVERFIT | {"dense_share": 0.5}, "dropout"),
     (OVERFIT | {"dense_share": 0.5001}, "global_average_pooling"),
     (OVERFIT | {"dense_share": 0.0}, "dropout")],
)  # fmt: skip
def test_both_sides_of_every_boundary(symptoms, wanted):
    """Below 0.01, below the image, above by more than 0.02, by more than 0.1, more than half."""
    same_value(remedy(dict(symptoms)), wanted)


@pytest.mark.parametrize(
    "symptoms",
    [{"receptive_field": 3}, {"image_size": 224}, {"deep_train_error": 0.9},
     {"shallow_train_error": 0.0}, {"deep_test_error": 0.9}, {"dense_share": 0.99},
     {"shallow_test_error": 0.9}, {"deep_test_error": 0.9, "shallow_train_error": 0.1},
     {"deep_test_error": 0.9, "shallow_test_error": 0.1},
     {"deep_train_error": 0.3, "shallow_test_error": 0.0, "dense_share": 0.9}],
)  # fmt: skip
def test_what_was_not_measured_is_healthy(symptoms):
    """A comparison holds only where both of its numbers are known."""
    same_value(remedy(symptoms), None)


@pytest.mark.parametrize("shallow_test", [0.0, 0.2, 0.44, 0.9])
def test_degradation_shows_in_training_and_overfitting_between_train_and_test(shallow_test):
    """The shallow network's test error decides nothing, whatever it is."""
    told = {"shallow_test_error": shallow_test}
    same_value(remedy(DEGRADED | told), "residual")
    same_value(remedy(DEGRADED | told | {"deep_test_error": 0.35}), "residual")
    same_value(remedy(OVERFIT | told), "dropout")
    healthy = {"deep_train_error": 0.1, "shallow_train_error": 0.1, "deep_test_error": 0.15}
    same_value(remedy(healthy | told), None)


@pytest.mark.parametrize("name", ["depth", "gradient", "train_error", "Dense_share", ""])
def test_another_symptom_is_refused(name):
    """A misspelt name must not pass for a healthy network, nor hide behind another symptom."""
    refuses(remedy, {name: 0.5}, because=f"the symptom {name!r}")
    refuses(remedy, DYING | {name: 0.5}, because=f"the symptom {name!r} beside a known one")


def test_the_symptoms_are_left_alone():
    """The dict handed in is as before."""
    symptoms = DEGRADED | DENSE
    remedy(symptoms)
    same_value(sorted(symptoms), sorted(DEGRADED | DENSE))
