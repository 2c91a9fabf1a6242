"""Learn a filter from examples: nobody writes the kernel, gradient descent finds it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dojo import right, wrong


def fit_kernel(images: Tensor, targets: Tensor, kernel_size: int, steps: int, lr: float) -> Tensor:
    """Find a kernel that turns the images into the targets, by plain gradient descent.

    The kernel begins with zeros. In each step it slides over all images at once (stride 1, no
    padding, as it is written) and the mean squared error says how far the maps are from the
    targets: one mean over all cells of all maps. Its gradient says in which direction each cell
    of the kernel makes the error grow. The step is `lr` times that gradient and nothing else,
    each time of the present kernel alone, and exactly `steps` of them are made; 0 steps leave
    the zeros. torch's convolution and autograd may be called. Every call begins anew, and
    leaves autograd on or off as it was.

    Shapes:
        images: (N, 1, H, W), float32 or float64
        targets: (N, 1, H - kernel_size + 1, W - kernel_size + 1), of the images' dtype
        kernel_size: an int, not larger than H and W
        returns: (1, 1, kernel_size, kernel_size), of the images' dtype, detached: it requires
            no gradient and holds no graph

    Example:
        >>> fit_kernel(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 6.0]]]]), 1, 1, 0.1)
        tensor([[[[1.5000]]]])

    Raises:
        ValueError: targets has any other shape than the one above.

    Source: LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document
        recognition, Proceedings of the IEEE 86(11), 1998, sections I and II.
    """
    count, _, height, width = images.shape
    wanted = (count, 1, height - kernel_size + 1, width - kernel_size + 1)
    if targets.shape != wanted:
        raise ValueError(f"targets have shape {tuple(targets.shape)}, they must be {wanted}")
    kernel = images.new_zeros(1, 1, kernel_size, kernel_size, requires_grad=True)
    for _ in range(steps):
        error = F.mse_loss(F.conv2d(images, kernel), targets)
        (gradient,) = torch.autograd.grad(error, kernel)
        with torch.no_grad():
            kernel -= lr * gradient
    return kernel.detach()


HINTS = [
    "Take a kernel of one cell, k = 0, an image of the cells 1 and 2 and the targets 3 and 6. How "
    "large is the mean squared error? If k grows a little, does it rise or fall? Which way must k "
    "go?",
    "A loop over the steps: convolve, compare with the targets, ask autograd for the gradient with "
    "respect to the kernel, move the kernel against it. What of the last step's gradient must "
    "not be there any more in the next one?",
    "kernel = images.new_zeros(..., requires_grad=True); error = F.mse_loss(F.conv2d(images, "
    "kernel), targets); torch.autograd.grad(error, kernel) is a fresh gradient each time. Change "
    "the kernel in place within torch.no_grad(), return kernel.detach().",
]


@right(fit_kernel)
def by_optimizer(images, targets, kernel_size, steps, lr):
    layer = torch.nn.Conv2d(1, 1, kernel_size, bias=False, dtype=images.dtype)
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr)
    if targets.shape != layer(images).shape:
        raise ValueError(f"targets {tuple(targets.shape)} do not fit {tuple(images.shape)}")
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.MSELoss()(layer(images), targets).backward()
        optimizer.step()
    return layer.weight.detach()


def _windows(images, kernel_size):
    """Every window as a row: (N * OH * OW, kernel_size * kernel_size)."""
    windows = images.unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    return windows.reshape(-1, kernel_size * kernel_size)


@right(fit_kernel)
def by_the_formula(images, targets, kernel_size, steps, lr):
    """Without autograd: the gradient is 2 / M times the windows' own correlation with the error."""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr).flatten()
    windows = _windows(images, kernel_size)
    for _ in range(steps):
        error = windows @ kernel - targets.flatten()
        kernel = kernel - lr * 2 * (windows.T @ error) / len(windows)
    return kernel.reshape(1, 1, kernel_size, kernel_size)


@right(fit_kernel)
def by_new_kernels(images, targets, kernel_size, steps, lr):
    """Each step makes a new kernel, in float64, cell by cell."""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr).double()
    rows, columns = targets.shape[2:]
    for _ in range(steps):
        kernel = kernel.detach().requires_grad_()
        maps = torch.zeros(targets.shape, dtype=torch.float64)
        for i in range(kernel_size):
            for j in range(kernel_size):
                maps = maps + kernel[0, 0, i, j] * images[:, :, i : i + rows, j : j + columns]
        ((maps - targets) ** 2).mean().backward()
        kernel = kernel - lr * kernel.grad
    return kernel.detach().to(images.dtype)


@right(fit_kernel)
def by_one_matrix_power(images, targets, kernel_size, steps, lr):
    """The error is a parabola: all steps together are one power of a matrix."""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    windows, size = _windows(images.double(), kernel_size), kernel.numel()
    step = torch.zeros(size + 1, size + 1, dtype=torch.float64)
    step[:size, :size] = torch.eye(size) - 2 * lr / len(windows) * (windows.T @ windows)
    step[:size, size] = 2 * lr / len(windows) * (windows.T @ targets.double().flatten())
    step[size, size] = 1
    return torch.linalg.matrix_power(step, steps)[:size, size].reshape(kernel.shape).to(kernel)


def _gradient(images, targets, kernel, error=F.mse_loss):
    """The gradient of `error` with respect to the kernel."""
    kernel = kernel.detach().requires_grad_()
    return torch.autograd.grad(error(F.conv2d(images, kernel), targets), kernel)[0]


def _descend(images, targets, kernel_size, steps, lr, error=F.mse_loss, start=0.0):
    """The reference with another error or another start."""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr) + start
    for _ in range(steps):
        kernel = kernel - lr * _gradient(images, targets, kernel, error)
    return kernel


@wrong(fit_kernel)
def gradients_accumulate(images, targets, kernel_size, steps, lr):
    """the gradients accumulate: the .grad of earlier steps is never set back to zero"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    total = torch.zeros_like(kernel)
    for _ in range(steps):
        total += _gradient(images, targets, kernel)
        kernel -= lr * total
    return kernel


@wrong(fit_kernel)
def ascent(images, targets, kernel_size, steps, lr):
    """the kernel goes up the gradient (ascent): each step makes the error larger"""
    return _descend(images, targets, kernel_size, steps, -lr)


@wrong(fit_kernel)
def flipped(images, targets, kernel_size, steps, lr):
    """the kernel is flipped: it is turned around before it slides"""
    return fit_kernel(images, targets, kernel_size, steps, lr).flip(2, 3)


@wrong(fit_kernel)
def transposed(images, targets, kernel_size, steps, lr):
    """the kernel is transposed: its rows stand as columns"""
    return fit_kernel(images, targets, kernel_size, steps, lr).transpose(2, 3)


@wrong(fit_kernel)
def by_view(images, targets, kernel_size, steps, lr):
    """.view stops where images or targets are views, as transposed ones: reshape does not"""
    kernel = fit_kernel(images, targets, kernel_size, steps, lr)
    images.view(-1), targets.view(-1)
    return kernel


@wrong(fit_kernel)
def summed(images, targets, kernel_size, steps, lr):
    """the squared errors are summed, not averaged: steps are longer the more cells there are"""
    error = torch.nn.MSELoss(reduction="sum")
    return _descend(images, targets, kernel_size, steps, lr, error)


@wrong(fit_kernel)
def summed_over_images(images, targets, kernel_size, steps, lr):
    """the error is averaged within each map, but summed over the images"""
    return _descend(images, targets, kernel_size, steps, lr * len(images))


@wrong(fit_kernel)
def summed_within_images(images, targets, kernel_size, steps, lr):
    """the error is averaged over the images, but summed within each map"""
    return _descend(images, targets, kernel_size, steps, lr * targets[0].numel())


@wrong(fit_kernel)
def halved(images, targets, kernel_size, steps, lr):
    """the steps are half as long: the factor 2 from the square is missing in the gradient"""
    return _descend(images, targets, kernel_size, steps, lr / 2)


@wrong(fit_kernel)
def lr_ignored(images, targets, kernel_size, steps, lr):
    """the learning rate is ignored: the kernel moves by the whole gradient"""
    return _descend(images, targets, kernel_size, steps, 1.0)


@wrong(fit_kernel)
def absolute_error(images, targets, kernel_size, steps, lr):
    """the mean absolute error is taken instead of the mean squared one"""
    return _descend(images, targets, kernel_size, steps, lr, F.l1_loss)


@wrong(fit_kernel)
def root_taken(images, targets, kernel_size, steps, lr):
    """the root of the mean squared error is taken: near the end its steps stay long"""
    return _descend(
        images, targets, kernel_size, steps, lr, lambda a, b: F.mse_loss(a, b).clamp(1e-30).sqrt()
    )


@wrong(fit_kernel)
def one_step(images, targets, kernel_size, steps, lr):
    """only one step is made, however many are asked for"""
    return fit_kernel(images, targets, kernel_size, min(steps, 1), lr)


@wrong(fit_kernel)
def one_step_short(images, targets, kernel_size, steps, lr):
    """one step is missing: steps - 1 are made"""
    return fit_kernel(images, targets, kernel_size, max(steps - 1, 0), lr)


@wrong(fit_kernel)
def one_step_more(images, targets, kernel_size, steps, lr):
    """one step too many is made: steps + 1"""
    return fit_kernel(images, targets, kernel_size, steps + 1, lr)


@wrong(fit_kernel)
def at_least_one_step(images, targets, kernel_size, steps, lr):
    """0 steps make one step all the same"""
    return fit_kernel(images, targets, kernel_size, max(steps, 1), lr)


@wrong(fit_kernel)
def graph_kept(images, targets, kernel_size, steps, lr):
    """the graph is kept: the result still requires a gradient"""
    return fit_kernel(images, targets, kernel_size, steps, lr).requires_grad_()


@wrong(fit_kernel)
def grad_mode_left_off(images, targets, kernel_size, steps, lr):
    """autograd is switched off for the whole program and stays off"""
    kernel = fit_kernel(images, targets, kernel_size, steps, lr)
    torch.set_grad_enabled(False)
    return kernel


@wrong(fit_kernel)
def grad_mode_left_on(images, targets, kernel_size, steps, lr):
    """autograd is left switched on, also for a caller who had switched it off"""
    torch.set_grad_enabled(True)
    return fit_kernel(images, targets, kernel_size, steps, lr)


@wrong(fit_kernel)
def random_start(images, targets, kernel_size, steps, lr):
    """the kernel begins with random numbers instead of zeros"""
    start = torch.randn(kernel_size, kernel_size).to(images.dtype)
    return _descend(images, targets, kernel_size, steps, lr, start=start)


@wrong(fit_kernel)
def start_of_ones(images, targets, kernel_size, steps, lr):
    """the kernel begins with ones instead of zeros"""
    return _descend(images, targets, kernel_size, steps, lr, start=1.0)


@wrong(fit_kernel)
def image_by_image(images, targets, kernel_size, steps, lr):
    """the kernel is moved after each image, not once for the whole batch"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    for _ in range(steps):
        for image, target in zip(images, targets, strict=True):
            kernel = kernel - lr * _gradient(image[None], target[None], kernel)
    return kernel


@wrong(fit_kernel)
def one_image_a_step(images, targets, kernel_size, steps, lr):
    """each step looks at one image only, in turn, not at the whole batch"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    for step in range(steps):
        one = [step % len(images)]
        kernel = kernel - lr * _gradient(images[one], targets[one], kernel)
    return kernel


@wrong(fit_kernel)
def first_image_only(images, targets, kernel_size, steps, lr):
    """only the first image is learned from"""
    fit_kernel(images, targets, kernel_size, 0, lr)
    return fit_kernel(images[:1], targets[:1], kernel_size, steps, lr)


@wrong(fit_kernel)
def momentum(images, targets, kernel_size, steps, lr):
    """the steps have momentum: part of the last step is added to the next"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    speed = torch.zeros_like(kernel)
    for _ in range(steps):
        speed = 0.9 * speed + _gradient(images, targets, kernel)
        kernel = kernel - lr * speed
    return kernel


@wrong(fit_kernel)
def adam(images, targets, kernel_size, steps, lr):
    """Adam makes the steps: each cell moves by about lr, however steep the error is"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    mean, square = torch.zeros_like(kernel), torch.zeros_like(kernel)
    for step in range(1, steps + 1):
        gradient = _gradient(images, targets, kernel)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        length = (square / (1 - 0.999**step)).sqrt() + 1e-8
        kernel = kernel - lr * mean / (1 - 0.9**step) / length
    return kernel


@wrong(fit_kernel)
def sign_only(images, targets, kernel_size, steps, lr):
    """only the gradient's sign is used: each cell moves by lr, however steep the error is"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    for _ in range(steps):
        kernel = kernel - lr * _gradient(images, targets, kernel).sign()
    return kernel


@wrong(fit_kernel)
def lr_decays(images, targets, kernel_size, steps, lr):
    """the learning rate shrinks from step to step"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    for step in range(steps):
        kernel = kernel - lr / (step + 1) * _gradient(images, targets, kernel)
    return kernel


@wrong(fit_kernel)
def same_gradient_each_step(images, targets, kernel_size, steps, lr):
    """the gradient is computed once, for the zero kernel, and used in every step"""
    return fit_kernel(images, targets, kernel_size, 1, lr * steps)


@wrong(fit_kernel)
def solved(images, targets, kernel_size, steps, lr):
    """the best kernel is solved for: steps and learning rate play no part"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    inverse = torch.linalg.pinv(_windows(images.double(), kernel_size))
    return (inverse @ targets.double().flatten()).reshape(kernel.shape).to(kernel)


@wrong(fit_kernel)
def bias_learned_too(images, targets, kernel_size, steps, lr):
    """a bias is learned beside the kernel: nn.Conv2d has one unless told otherwise"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    bias = 0.0
    for _ in range(steps):
        error = F.conv2d(images, kernel) + bias - targets
        kernel = kernel - lr * _gradient(images, targets - bias, kernel)
        bias = bias - lr * 2 * error.mean()
    return kernel


@wrong(fit_kernel)
def images_centred(images, targets, kernel_size, steps, lr):
    """the mean of the images, or of the targets, is taken off before they are learned from"""
    return fit_kernel(images - images.mean(), targets, kernel_size, steps, lr)


@wrong(fit_kernel)
def normalised(images, targets, kernel_size, steps, lr):
    """the kernel is divided by the sum of its cells at the end"""
    kernel = fit_kernel(images, targets, kernel_size, steps, lr)
    total = kernel.sum()
    return kernel / total if total.abs() > 1e-6 else kernel


@wrong(fit_kernel)
def weight_decay(images, targets, kernel_size, steps, lr):
    """a penalty on large kernels is added to the error (weight decay)"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    for _ in range(steps):
        kernel = kernel - lr * (_gradient(images, targets, kernel) + 0.01 * kernel)
    return kernel


@wrong(fit_kernel)
def clipped(images, targets, kernel_size, steps, lr):
    """the gradient is clipped to length 1: steep errors make too short steps"""
    kernel = fit_kernel(images, targets, kernel_size, 0, lr)
    for _ in range(steps):
        gradient = _gradient(images, targets, kernel)
        kernel = kernel - lr * gradient / gradient.norm().clamp(min=1)
    return kernel


@wrong(fit_kernel)
def without_two_axes(images, targets, kernel_size, steps, lr):
    """the kernel is returned as (k, k), without its filter and channel axes"""
    return fit_kernel(images, targets, kernel_size, steps, lr)[0, 0]


@wrong(fit_kernel)
def always_float32(images, targets, kernel_size, steps, lr):
    """the kernel is float32 whatever came in"""
    return fit_kernel(images.float(), targets.float(), kernel_size, steps, lr)


@wrong(fit_kernel)
def targets_repeated(images, targets, kernel_size, steps, lr):
    """targets of another shape are not refused: they are repeated until they fit"""
    wanted = F.conv2d(images, images.new_zeros(1, 1, kernel_size, kernel_size)).shape
    if targets.dim() <= 4 and all(
        n in (1, w) for n, w in zip(targets.shape[::-1], wanted[::-1], strict=False)
    ):
        targets = targets.expand(wanted)
    return fit_kernel(images, targets, kernel_size, steps, lr)


@wrong(fit_kernel)
def only_the_count_compared(images, targets, kernel_size, steps, lr):
    """targets of another shape are not refused where they have as many cells"""
    wanted = F.conv2d(images, images.new_zeros(1, 1, kernel_size, kernel_size)).shape
    if targets.numel() == wanted.numel():
        targets = targets.reshape(wanted)
    return fit_kernel(images, targets, kernel_size, steps, lr)


@wrong(fit_kernel)
def nothing_refused(images, targets, kernel_size, steps, lr):
    """nothing is refused: torch repeats the targets or stops with an error of its own"""
    kernel = images.new_zeros(1, 1, kernel_size, kernel_size)
    for _ in range(steps):
        kernel = kernel - lr * _gradient(images, targets, kernel)
    return kernel


def show(answer):
    """A filter that is hidden in the targets, and what is found of it after more and more steps."""
    from dojo.pictures import signed_maps

    generator = torch.Generator().manual_seed(1)
    images = torch.randn(8, 1, 20, 24, generator=generator)
    hidden = torch.tensor([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]])
    targets = F.conv2d(images, hidden)
    found = {
        f"after {steps} steps": answer.fit_kernel(images, targets, 3, steps, 0.05)
        for steps in (1, 5, 20, 60)
    }
    return signed_maps(
        {"an image": images[0], "its target": targets[0]}, found | {"hidden": hidden}
    )
