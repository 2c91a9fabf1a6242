"""Shift robustness: same experiment, one variable: who survives a shift?"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


def shifted_accuracy(
    model: nn.Module, images: Tensor, labels: Tensor, max_shift: int
) -> list[float]:
    """Measure how well the model reads images that are moved by 0, 1, 2 ... pixels.

    For every distance s all images are moved up by s, down by s, to the left by s and to the
    right by s, each time starting from the originals. What leaves the image is lost, and
    zeros come in from the other side. Entry s of the list is the share of right answers over
    all images and all four directions: the class with the largest logit is what the model says.

    The model is asked in eval. Afterwards it is as it was, each submodule in the mode it had,
    also when it raises an exception.

    Shapes:
        images: (N, C, H, W); labels: (N,) int64
        max_shift: from 0 on, smaller than H and W
        returns: max_shift + 1 floats, 0 to 1

    Example:
        >>> image = torch.zeros(1, 1, 3, 3)
        >>> image[0, 0, 0, 1] = 1.0
        >>> shifted_accuracy(nn.Flatten(), image, torch.tensor([1]), max_shift=1)
        [1.0, 0.0]

    Raises:
        whatever the model raises.

    Source: Azulay & Weiss, Why do deep convolutional networks generalize so poorly to small
        image transformations?, arXiv:1805.12177, section 2.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    shares = []
    try:
        with torch.no_grad():
            for s in range(max_shift + 1):
                moves = [(-s, 0), (s, 0), (0, -s), (0, s)]
                moved = torch.cat([_moved(images, down, right) for down, right in moves])
                hits = model(moved).argmax(1) == labels.repeat(4)
                shares.append(hits.double().mean().item())
    finally:
        for module, mode in modes.items():
            module.training = mode
    return shares


def _moved(images: Tensor, down: int, right: int) -> Tensor:
    """A negative padding cuts off what leaves the image."""
    return F.pad(images, (right, -right, down, -down))


class ShiftTolerantCNN(nn.Module):
    """Say what is in an image, wherever in it that is.

    A convolution moves along with its input, a flattened head does not: each of its weights is
    tied to a place. Build a network that forgets the place instead. The tolerance is in the
    architecture, not in what is learnt: already in an untrained network in eval, a small pattern
    that moves by 4 pixels changes the logits far less than the pattern taken away does. And
    what is there still counts, not only how bright it is.

    The experiment: digits 0 to 4, 8x8 pixels of values 0 to 10 in the middle of an empty 28x28
    image, so an early pooling over much more than 2x2 leaves nothing of them. Your network, a
    dense one and a CNN with a flattened head are each trained by 300 steps of Adam, batches of
    16, the rate falling from 0.005. Yours must be right more often than either of them: by at
    least 10 points at 3 pixels, and by 25 at 4.

    Shapes:
        images (N, 1, 28, 28), float32, to logits (N, num_classes)

    Example:
        >>> ShiftTolerantCNN(5)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 5])

    Source: Lin, Chen & Yan, Network In Network, arXiv:1312.4400, section 3.2.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.head = nn.Linear(32, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 2)  # (N, 16, 14, 14)
        x = F.relu(self.second(x))
        return self.head(x.amax((2, 3)))  # (N, 32): each feature's strongest place


HINTS = [
    "An image moved up by 2: which of its rows survive, and what stands in the two new rows at the "
    "bottom? And which layer of a CNN is it that knows where in the image a feature was found?",
    "F.pad with a positive number on one side and the same number, negative, on the other moves an "
    "image and keeps its size. In the network no layer may be as large as the map: what turns a "
    "map of any size into one number?",
    "F.pad(images, (s, -s, 0, 0)) moves to the right, (-s, s, 0, 0) to the left, (0, 0, s, -s) "
    "down. The network: convolution, ReLU, 2x2 pooling, convolution, ReLU, then x.amax((2, 3)) or "
    "x.mean((2, 3)), then a Linear from channels to classes.",
]


def _modes_kept(model):
    """What puts every submodule's mode back."""
    modes = [(module, module.training) for module in model.modules()]

    def back():
        for module, mode in modes:
            module.training = mode

    return back


def _four(s):
    return [(-s, 0), (s, 0), (0, -s), (0, s)]


def _measured(model, images, labels, max_shift, moves=_four, move=None, mean=None):
    """The reference, with other moves, another way to move, or another mean."""
    back, table = _modes_kept(model), []
    model.eval()
    try:
        with torch.no_grad():
            for s in range(max_shift + 1):
                moved = [(move or _moved)(images, *by) for by in moves(s)]
                hits = [(model(x).argmax(1) == labels).double().mean().item() for x in moved]
                table.append(mean(hits) if mean else sum(hits) / len(hits))
    finally:
        back()
    return table


@right(shifted_accuracy)
def of_a_copy_by_slices(model, images, labels, max_shift):
    """A deep copy is asked, image by image; cells are copied by slices."""
    asked, table = copy.deepcopy(model).eval(), []
    height, width = images.shape[2:]
    for s in range(max_shift + 1):
        hits = 0
        for image, label in zip(images, labels.tolist(), strict=True):
            for direction in range(4):
                moved = torch.zeros_like(image)
                if direction == 0:
                    moved[:, : height - s] = image[:, s:]
                elif direction == 1:
                    moved[:, s:] = image[:, : height - s]
                elif direction == 2:
                    moved[:, :, : width - s] = image[:, :, s:]
                else:
                    moved[:, :, s:] = image[:, :, : width - s]
                hits += int(asked(moved[None]).argmax(1).item() == label)
        table.append(hits / (4 * len(images)))
    return table


@right(shifted_accuracy)
def by_roll_and_wipe(model, images, labels, max_shift):
    """What comes round the edge is wiped out."""

    def move(x, down, right):
        x = x.roll((down, right), (2, 3))
        rows, columns = torch.arange(x.shape[2]), torch.arange(x.shape[3])
        inside = ((rows - down >= 0) & (rows - down < x.shape[2]))[:, None]
        return x * (inside & (columns - right >= 0) & (columns - right < x.shape[3]))

    return _measured(model, images, labels, max_shift, move=move)


@right(shifted_accuracy)
def by_windows(model, images, labels, max_shift):
    """One wide frame of zeros, and a window that moves the other way."""
    height, width = images.shape[2:]
    framed = F.pad(images, [max_shift] * 4)

    def move(x, down, right):
        top, left = max_shift - down, max_shift - right
        return framed[:, :, top : top + height, left : left + width]

    return _measured(model, images, labels, max_shift, move=move)


@right(ShiftTolerantCNN)
def with_global_mean(num_classes=10):
    """The mean over all places, three convolutions."""
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))


@right(ShiftTolerantCNN)
def with_batch_norm(num_classes=10):
    """Batch norm, and a global mean."""
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes))


def _trunk():
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, nn.Conv2d(16, 32, 3, padding=1), nn.ReLU())


def _mistaken(*more):
    """The reference's convolutions and what else follows."""
    return nn.Sequential(_trunk(), *more)


@wrong(ShiftTolerantCNN)
def flattened_head(num_classes=10):
    """each weight tied to a place, as behind a flat head"""
    return _mistaken(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, num_classes))


@wrong(ShiftTolerantCNN)
def no_convolution(num_classes=10):
    """there is no convolution: every pixel has weights of its own"""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, num_classes)
    )  # fmt: skip


@wrong(ShiftTolerantCNN)
def softmax_at_the_end(num_classes=10):
    """a softmax ends the network: probabilities come out, not logits"""
    return nn.Sequential(ShiftTolerantCNN(num_classes), nn.Softmax(1))


@wrong(ShiftTolerantCNN)
def sigmoid_at_the_end(num_classes=10):
    """a sigmoid ends the network: its numbers cannot leave 0 to 1"""
    return nn.Sequential(ShiftTolerantCNN(num_classes), nn.Sigmoid())


@wrong(ShiftTolerantCNN)
def log_softmax_at_the_end(num_classes=10):
    """a log-softmax ends the network: logarithms of probabilities come out, not logits"""
    return nn.Sequential(ShiftTolerantCNN(num_classes), nn.LogSoftmax(1))


@wrong(ShiftTolerantCNN)
def always_ten(num_classes=10):
    """num_classes is ignored: there are always ten logits"""
    return ShiftTolerantCNN(10)


@wrong(ShiftTolerantCNN)
class Squeezed(ShiftTolerantCNN):
    """squeeze takes the batch axis away where there is one image"""

    def forward(self, x):
        return super().forward(x).squeeze()


@wrong(ShiftTolerantCNN)
class PooledOverChannels(nn.Module):
    """the maps are averaged over their channels, not over their places: the place is kept"""

    def __init__(self, num_classes=10):
        super().__init__()
        self.trunk, self.head = _trunk(), nn.Linear(14 * 14, num_classes)

    def forward(self, x):
        return self.head(self.trunk(x).mean(1).flatten(1))


@wrong(ShiftTolerantCNN)
def pooled_before_the_convolutions(num_classes=10):
    """the whole image is pooled before anything is recognised: only its brightness is left"""
    head = [nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, num_classes)]
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)


@wrong(ShiftTolerantCNN)
def without_relu(num_classes=10):
    """no ReLU stands before the global mean: all that is seen is the sum of the pixels"""
    body = [nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes))


@wrong(ShiftTolerantCNN)
class LayersInAList(nn.Module):
    """the convolutions stand in a plain list: the network knows nothing of their weights"""

    def __init__(self, num_classes=10):
        super().__init__()
        self.body, self.head = list(_trunk()), nn.Linear(32, num_classes)

    def forward(self, x):
        for layer in self.body:
            x = layer(x)
        return self.head(x.amax((2, 3)))


@wrong(shifted_accuracy)
def wraps_around(model, images, labels, max_shift):
    """what leaves the image comes in again on the other side (roll), where zeros should"""

    def move(x, down, right):
        return x.roll((down, right), (2, 3))

    return _measured(model, images, labels, max_shift, move=move)


@wrong(shifted_accuracy)
def edge_repeated(model, images, labels, max_shift):
    """the edge is repeated where zeros should come in"""

    def move(x, down, right):
        padding = [max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)]
        wide = F.pad(x, padding, mode="replicate")
        height, width = x.shape[2:]
        return wide[..., max(-down, 0) :, max(-right, 0) :][..., :height, :width]

    return _measured(model, images, labels, max_shift, move=move)


@wrong(shifted_accuracy)
def ones_come_in(model, images, labels, max_shift):
    """ones come in, not zeros"""

    def move(x, down, right):
        return F.pad(x, (right, -right, down, -down), value=1.0)

    return _measured(model, images, labels, max_shift, move=move)


@wrong(shifted_accuracy)
def only_up(model, images, labels, max_shift):
    """the images are moved up only"""
    return _measured(model, images, labels, max_shift, lambda s: [(-s, 0)])


@wrong(shifted_accuracy)
def only_down(model, images, labels, max_shift):
    """the images are moved down only"""
    return _measured(model, images, labels, max_shift, lambda s: [(s, 0)])


@wrong(shifted_accuracy)
def only_to_the_left(model, images, labels, max_shift):
    """the images are moved to the left only"""
    return _measured(model, images, labels, max_shift, lambda s: [(0, -s)])


@wrong(shifted_accuracy)
def only_to_the_right(model, images, labels, max_shift):
    """the images are moved to the right only"""
    return _measured(model, images, labels, max_shift, lambda s: [(0, s)])


@wrong(shifted_accuracy)
def only_rows(model, images, labels, max_shift):
    """the images are moved up and down only, never sideways"""
    return _measured(model, images, labels, max_shift, lambda s: [(-s, 0), (s, 0)])


@wrong(shifted_accuracy)
def only_columns(model, images, labels, max_shift):
    """the images are moved sideways only, never up and down"""
    return _measured(model, images, labels, max_shift, lambda s: [(0, -s), (0, s)])


@wrong(shifted_accuracy)
def diagonally(model, images, labels, max_shift):
    """the images are moved along both axes at once, towards the corners"""

    def corners(s):
        return [(-s, -s), (-s, s), (s, -s), (s, s)]

    return _measured(model, images, labels, max_shift, corners)


@wrong(shifted_accuracy)
def adding_up(model, images, labels, max_shift):
    """each shift starts from the last one, not from the originals: distances add up"""
    return _measured(model, images, labels, max_shift, lambda s: _four(s * (s + 1) // 2))


@wrong(shifted_accuracy)
def begins_at_one(model, images, labels, max_shift):
    """the list begins with a shift of 1: entry 0, the images as they are, is missing"""
    return _measured(model, images, labels, max_shift)[1:]


@wrong(shifted_accuracy)
def ends_too_early(model, images, labels, max_shift):
    """the list ends before max_shift: the largest shift is missing"""
    return _measured(model, images, labels, max_shift)[:-1]


@wrong(shifted_accuracy)
def the_worst(model, images, labels, max_shift):
    """the worst of the four directions counts, not all of them"""
    return _measured(model, images, labels, max_shift, mean=min)


@wrong(shifted_accuracy)
def the_best(model, images, labels, max_shift):
    """the best of the four directions counts, not all of them"""
    return _measured(model, images, labels, max_shift, mean=max)


@wrong(shifted_accuracy)
def percent(model, images, labels, max_shift):
    """the accuracies are in percent, not from 0 to 1"""
    return _measured(model, images, labels, max_shift, mean=lambda hits: 25 * sum(hits))


@wrong(shifted_accuracy)
def four_added_up(model, images, labels, max_shift):
    """the four directions are added up, not averaged: 4.0 is the most"""
    return _measured(model, images, labels, max_shift, mean=sum)


@wrong(shifted_accuracy)
def drops(model, images, labels, max_shift):
    """the loss of accuracy comes back, not the accuracy"""
    table = _measured(model, images, labels, max_shift)
    return [table[0] - share for share in table]


@wrong(shifted_accuracy)
def as_a_tensor(model, images, labels, max_shift):
    """a tensor comes back, not a list of floats"""
    return torch.tensor(_measured(model, images, labels, max_shift))


def _asked_as_it_is(model, images, labels, max_shift):
    table = []
    with torch.no_grad():
        for s in range(max_shift + 1):
            moved = torch.cat([_moved(images, *by) for by in _four(s)])
            table.append((model(moved).argmax(1) == labels.repeat(4)).double().mean().item())
    return table


@wrong(shifted_accuracy)
def in_the_mode_it_has(model, images, labels, max_shift):
    """the model is asked in the mode it has, without eval"""
    return _asked_as_it_is(model, images, labels, max_shift)


@wrong(shifted_accuracy)
def in_train(model, images, labels, max_shift):
    """the model is put into train mode to be asked"""
    back = _modes_kept(model)
    table = _asked_as_it_is(model.train(), images, labels, max_shift)
    back()
    return table


@wrong(shifted_accuracy)
def left_in_eval(model, images, labels, max_shift):
    """the model is left in eval"""
    return _asked_as_it_is(model.eval(), images, labels, max_shift)


@wrong(shifted_accuracy)
def mode_of_the_root(model, images, labels, max_shift):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    try:
        return _asked_as_it_is(model.eval(), images, labels, max_shift)
    finally:
        model.train(mode)


@wrong(shifted_accuracy)
def modes_without_finally(model, images, labels, max_shift):
    """the modes come back only if all goes well: after an exception all is left in eval"""
    back = _modes_kept(model)
    table = _asked_as_it_is(model.eval(), images, labels, max_shift)
    back()
    return table


@wrong(shifted_accuracy)
def moved_in_place(model, images, labels, max_shift):
    """the images are moved in place: the caller's images change"""
    table = _measured(model, images, labels, max_shift)
    images.copy_(_moved(images, 0, 1))
    return table


@wrong(shifted_accuracy)
def freezes(model, images, labels, max_shift):
    """requires_grad is switched off for good: nobody can train on"""
    return _measured(model.requires_grad_(False), images, labels, max_shift)


def show(answer):
    """The same digits, steps and optimiser for three networks: who survives a shift?"""
    from matplotlib.figure import Figure

    from data import split_digits

    def prepared(images, labels):
        images, labels = torch.from_numpy(images), torch.from_numpy(labels)
        small = images[labels < 5][:, :, 2:26:3, 2:26:3]  # as they were before they were enlarged
        return F.pad(10 * small, [10] * 4), labels[labels < 5]

    split = split_digits("digits")
    images, labels = prepared(split.train_images, split.train_labels)
    held_out, truth = prepared(split.held_out_images, split.held_out_labels)
    flat = [
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
    ]
    flat += [nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(784, 5)]
    makers = {
        "dense": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 5)
        ),
        "CNN, flattened": lambda: nn.Sequential(*(copy.deepcopy(layer) for layer in flat)),
        "yours": lambda: answer.ShiftTolerantCNN(5),
    }
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for name, colour in zip(makers, ["tab:gray", "tab:red", "tab:blue"], strict=True):
        torch.default_generator.manual_seed(0)
        model, order = makers[name]().train(), torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 300)
        for _ in range(300):
            batch = torch.randint(len(labels), (16,), generator=order)
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            rates.step()
        table = answer.shifted_accuracy(model, held_out, truth, 4)
        axis.plot(range(5), table, "o-", color=colour, label=name)
    axis.set(xlabel="pixels moved", ylabel="accuracy", ylim=(0, 1), xticks=range(5))
    axis.set_title("8x8 digits 0 to 4, moved on a 28x28 image", fontsize=10)
    axis.legend()
    return figure
