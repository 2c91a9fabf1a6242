"""Add the input back: a block that starts from identity and learns to deviate."""

from torch import Tensor, nn


class Residual(nn.Module):
    """Wrap any layers, `body`, so that they learn a change of x instead of all of the output.

    The result is what the body makes of x, and x itself added back, as it came: nothing is
    done to it on the way, and nothing to the sum. A body that gives 0 makes the block the
    identity, through which the gradient passes unchanged.

    The body is registered as a submodule, unchanged and under any name, so that parameters(),
    train(), eval(), to() and state_dict() reach it; the block has no parameters or buffers of
    its own. Each forward calls the body once, as a module is called, so that hooks on it run.
    Neither x nor what the body returned is written to, also where the body itself works in
    place: many begin with nn.ReLU(inplace=True).

    Shapes:
        x: (N, ...), float32 or float64, whatever the body takes
        returns: a new tensor of x's shape and dtype, differentiable in x and in the body's
            parameters

    Example:
        >>> Residual(nn.ReLU())(torch.tensor([[-2.0, 3.0]]))
        tensor([[-2.,  6.]])

    Raises:
        ValueError: in forward, the body's output has not exactly x's shape, the batch's size
            and the number of axes included; also where torch would stretch one to fit.

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, sections 3.1 and 3.2.
    """

    def __init__(self, body: nn.Module):
        super().__init__()
        raise NotImplementedError("residual")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("residual")
