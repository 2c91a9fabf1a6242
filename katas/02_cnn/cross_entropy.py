"""Cross-entropy: one number that says how surprised a network is by the right answers."""

from torch import Tensor


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Measure how surprised the logits are by the classes that were right, on average.

    Softmax turns each image's logits into probabilities. The loss of an image is how
    improbable its right class was, on a scale of natural logarithms: 0 where it was certain,
    the larger the less it was expected. The loss of a batch is the mean over its images.

    It takes logits, not probabilities, so that it can stay exact where a probability is too
    small for a float: logits of 10,000 give a loss that is right to 0.001, never inf or nan.
    None of torch's losses and log-softmaxes may run inside; all else of torch may, softmax
    and logsumexp too.

    Shapes:
        logits: (N, C), float32 or float64; N and C from 1 on
        targets: (N,) int64, the right classes, each from 0 to C - 1
        returns: a tensor without axes, of the logits' dtype, differentiable in the logits

    Example:
        >>> round(cross_entropy(torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([0])).item(), 4)
        0.417

    Raises:
        ValueError: a target is below 0 (-1 too) or not below C.

    Source: Goodfellow, Bengio & Courville, Deep Learning, MIT Press 2016, sections 4.1 and
        6.2.2.3.
    """
    raise NotImplementedError("cross_entropy")
