"""Which remedy for which symptom? How architectures grew, as a chain of problems and answers."""


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
    raise NotImplementedError("evolution")
