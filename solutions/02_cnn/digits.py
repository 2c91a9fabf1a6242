"""Digits: build a network, train it on real handwriting, and read what it has never seen."""

import copy
import sys

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dojo import right, wrong


def make_digit_model() -> nn.Module:
    """Build a network that says which digit an image shows, not yet trained.

    How it is built is up to you; so is its size, within the time that `fit_digits` has. The
    images are 28x28, but enlarged: every 3x3 block holds one grey value, so a large stride or
    an early pooling costs nothing. What comes out are logits, ten for each image: neither
    probabilities nor their logarithms, and cut off nowhere. In eval an image's logits do not
    hang on the other images.

    Initial weights come from torch's default generator, which goes on from where it stands:
    seeded alike two models are alike, built one after the other they differ.

    Shapes:
        the model: images (N, 1, 28, 28), float32 in 0..1, to logits (N, 10)

    Example:
        >>> make_digit_model()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])

    Source: LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document
        Recognition, Proceedings of the IEEE 86(11), 1998, section II.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=3, padding=1),  # (N, 16, 9, 9)
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 32, 4, 4)
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def fit_digits(
    model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
) -> nn.Module:
    """Train the model on the images, and give the same model back.

    All that is yours: optimizer, rate, size of the batches, number of epochs. What is fixed:
    the images are gone through in a random order that is drawn from `generator` and from
    nothing else, and no global seed is set; every image is used; the loss takes the model's
    logits as they are, so that a model that is sure and wrong learns most; each step follows
    the gradient of its own batch. The model trains in train mode. Afterwards each submodule is
    in the mode it had, also when the model raises an exception.

    A network of `make_digit_model` trained on the 1,198 shipped digits must read at least 95 %
    of the 599 held out, whatever the seeds, in 20 seconds on two cores (40 of processor time).
    Any other model with ten logits can be handed in too. While it trains, progress may be shown
    on stderr.

    Shapes:
        images: (N, 1, 28, 28), float32 in 0..1; labels: (N,) int64, 0 to 9
        returns: model

    Example:
        >>> model, images = make_digit_model(), torch.rand(256, 1, 28, 28)
        >>> labels = torch.arange(256) % 10
        >>> fit_digits(model, images, labels, torch.Generator()) is model
        True

    Raises:
        whatever the model raises.

    Source: Goodfellow, Bengio & Courville, Deep Learning, MIT Press 2016, sections 8.1.3 and
        11.2.
    """
    modes = {module: module.training for module in model.modules()}
    epochs = 10
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, epochs - 1)
    model.train()
    try:
        for epoch in range(epochs):
            for batch in torch.randperm(len(labels), generator=generator).split(64):
                loss = F.cross_entropy(model(images[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            rates.step()
            _show_progress(epoch + 1, epochs)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return model


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rtraining [{'#' * done:<{total}}]", end=end, file=sys.stderr, flush=True)


HINTS = [
    "How many numbers does an image really hold, if every 3x3 block is one grey value? How many "
    "steps do 1,198 images make in batches of 64, and how long does one take you?",
    "Two convolutions with ReLU, one pooling and one Linear are enough: the first convolution may "
    "have stride 3. Adam with rate 0.01, falling to nearly 0 in some ten epochs: "
    "at a constant rate the last step is a leap now and then. "
    "An epoch's order is one permutation of the indices; images and labels are both taken by it.",
    "for batch in torch.randperm(len(labels), generator=generator).split(64): loss = "
    "F.cross_entropy(model(images[batch]), labels[batch]), then zero_grad, backward, step. Note "
    "every module's mode before model.train(), and put it back in a finally.",
]


@right(make_digit_model)
class WithBatchNorm(nn.Module):
    """The images are made small again first; batch norm, all as functions of one forward."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.norm, self.other = nn.BatchNorm2d(16), nn.BatchNorm2d(32)
        self.head = nn.Linear(512, 10)

    def forward(self, x):
        x = F.avg_pool2d(x[:, :, 2:26, 2:26], 3)
        x = F.relu(self.norm(self.first(x)))
        x = F.max_pool2d(F.relu(self.other(self.second(x))), 2)
        return self.head(x.flatten(1))


@right(make_digit_model)
def with_dropout():
    """Average pooling first, dropout before a small dense head whose weights begin at zero."""
    head = nn.Linear(128, 10)
    nn.init.zeros_(head.weight)
    body = [nn.AvgPool2d(3, padding=1), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()]  # 10x10
    body += [nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()]  # 5x5
    return nn.Sequential(*body, nn.Linear(800, 128), nn.ReLU(), nn.Dropout(0.2), head)


_EPOCHS, _BATCH, _RATE = 10, 64, 0.01


def _modes_kept(model):
    """What puts every submodule's mode back."""
    modes = [(module, module.training) for module in model.modules()]

    def back():
        for module, mode in modes:
            module.training = mode

    return back


@right(fit_digits)
def by_hand(model, images, labels, generator):
    """SGD with momentum written out, batches drawn with replacement."""
    back = _modes_kept(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    speeds = [torch.zeros_like(weight) for weight in weights]
    try:
        steps = 12 * len(labels) // 64
        for step in range(steps):
            model.train()
            batch = torch.randint(len(labels), (64,), generator=generator)
            loss = F.nll_loss(model(images[batch]).log_softmax(1), labels[batch])
            rate = 0.1 * (1 - step / steps)
            for weight, speed, gradient in zip(
                weights, speeds, torch.autograd.grad(loss, weights), strict=True
            ):
                speed.mul_(0.9).add_(gradient)
                weight.data.sub_(speed, alpha=rate)
    finally:
        back()
    return model


@right(fit_digits)
def with_a_loader(model, images, labels, generator):
    """torch's loader with the generator; the accuracy is looked at in eval after each epoch."""
    back, data = _modes_kept(model), torch.utils.data.TensorDataset(images, labels)
    loader = torch.utils.data.DataLoader(data, 32, shuffle=True, generator=generator)
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.05, momentum=0.9, weight_decay=1e-4)
    rates = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.3)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
    try:
        for epoch in range(8):
            for inputs, targets in loader:
                model.train()
                model.zero_grad()
                loss_fn(model(inputs), targets).backward()
                optimizer.step()
            rates.step()
            with torch.no_grad():
                share = (model.eval()(images).argmax(1) == labels).double().mean()
            print(f"epoch {epoch}: {share:.3f}", file=sys.stderr)
    finally:
        back()
    return model


@right(fit_digits)
def shifted_a_little(model, images, labels, generator):
    """Images are moved by up to a pixel, drawn from the generator too; the rate falls."""
    back = _modes_kept(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 12)
    model.train()
    try:
        for _ in range(12):
            for batch in torch.randperm(len(labels), generator=generator).chunk(
                -(-len(labels) // 64)
            ):
                rows, columns = torch.randint(-1, 2, (2,), generator=generator).tolist()
                moved = F.pad(images[batch], (1, 1, 1, 1))[
                    ..., 1 + rows : 29 + rows, 1 + columns : 29 + columns
                ]
                optimizer.zero_grad()
                F.cross_entropy(model(moved), labels[batch]).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
            rates.step()
    finally:
        back()
    return model


def _seeded_model(*more):
    return nn.Sequential(*make_digit_model(), *more)


@wrong(make_digit_model)
def softmax_at_the_end():
    """a softmax ends the model: probabilities come out, not logits"""
    return _seeded_model(nn.Softmax(1))


@wrong(make_digit_model)
def log_softmax_at_the_end():
    """a log-softmax ends the model: logarithms of probabilities come out, not logits"""
    return _seeded_model(nn.LogSoftmax(1))


@wrong(make_digit_model)
def relu_on_the_logits():
    """a ReLU stands on the logits: none of them can be negative"""
    return _seeded_model(nn.ReLU())


@wrong(make_digit_model)
def sigmoid_on_the_logits():
    """a sigmoid stands on the logits: all are squashed between 0 and 1"""
    return _seeded_model(nn.Sigmoid())


@wrong(make_digit_model)
def softmax_along_the_batch():
    """a softmax along the batch ends the model: an image's numbers hang on the others"""
    return _seeded_model(nn.Softmax(0))


@wrong(make_digit_model)
class LayersInAList(nn.Module):
    """the layers stand in a plain list: the model knows nothing of their weights"""

    def __init__(self):
        super().__init__()
        *body, self.head = make_digit_model()
        self.body = list(body)

    def forward(self, x):
        for layer in self.body:
            x = layer(x)
        return self.head(x)


@wrong(make_digit_model)
class NothingRegistered(nn.Module):
    """no layer is registered: the model has no parameters at all"""

    def __init__(self):
        super().__init__()
        self.layers = [make_digit_model()]

    def forward(self, x):
        return self.layers[0](x)


@wrong(make_digit_model)
def tanh_at_the_end():
    """a tanh ends the network: its numbers cannot leave -1 to 1"""
    return nn.Sequential(make_digit_model(), nn.Tanh())


@wrong(make_digit_model)
def seeded_inside():
    """torch's seed is set inside: every model begins with the same weights"""
    torch.default_generator.manual_seed(0)
    return make_digit_model()


@wrong(make_digit_model)
def own_generator():
    """the weights are not drawn from torch's default generator: its seed does not fix them"""
    model, generator = make_digit_model(), torch.Generator()
    generator.seed()
    for weight in model.parameters():
        nn.init.normal_(weight, 0, 0.1, generator=generator)
    return model


_ONE = []


@wrong(make_digit_model)
def always_the_same():
    """the same model comes back in every call: it goes on from what was trained before"""
    if not _ONE:
        _ONE.append(make_digit_model())
    return _ONE[0]


@wrong(make_digit_model)
def nine_logits():
    """nine logits come out: the digits are 0 to 9, ten of them"""
    *body, head = make_digit_model()
    return nn.Sequential(*body, nn.Linear(head.in_features, 9))


@wrong(make_digit_model)
class Squeezed(nn.Module):
    """squeeze takes the batch axis away where there is one image"""

    def __init__(self):
        super().__init__()
        self.layers = make_digit_model()

    def forward(self, x):
        return self.layers(x).squeeze()


@wrong(make_digit_model)
class BatchFlattened(nn.Module):
    """the batch is flattened too: the number of images is fixed to one"""

    def __init__(self):
        super().__init__()
        self.layers = make_digit_model()

    def forward(self, x):
        *body, head = self.layers
        return head(nn.Sequential(*body[:-1])(x).reshape(-1)[: head.in_features])[None]


@wrong(make_digit_model)
def frozen():
    """the parameters are frozen: requires_grad is off"""
    return make_digit_model().requires_grad_(False)


@wrong(make_digit_model)
def all_weights_zero():
    """every weight begins at zero: no gradient passes, all channels stay alike"""
    model = make_digit_model()
    for weight in model.parameters():
        nn.init.zeros_(weight)
    return model


def _fit(model, images, labels, order, step=None, epochs=_EPOCHS, training=True, rate=_RATE):
    """The reference, with another order or another step."""
    back = _modes_kept(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    def own(inputs, targets):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    try:
        model.train(training)
        for _ in range(epochs):
            for batch in order().split(_BATCH):
                (step or own)(images[batch], labels[batch])
    finally:
        back()
    return model


def _drawn(labels, generator):
    return lambda: torch.randperm(len(labels), generator=generator)


@wrong(fit_digits)
def trains_nothing(model, images, labels, generator):
    """the model comes back as it came: nothing is trained"""
    return model


@wrong(fit_digits)
def no_step(model, images, labels, generator):
    """no weight moves: losses are computed, and no optimizer steps"""

    def step(inputs, targets):
        F.cross_entropy(model(inputs), targets).backward()

    return _fit(model, images, labels, _drawn(labels, generator), step)


@wrong(fit_digits)
def a_copy_is_trained(model, images, labels, generator):
    """a copy is trained and given back, not the model itself"""
    twin = copy.deepcopy(model)
    return _fit(twin, images, labels, _drawn(labels, generator))


@wrong(fit_digits)
def nothing_returned(model, images, labels, generator):
    """the return is missing: None comes back"""
    _fit(model, images, labels, _drawn(labels, generator))


@wrong(fit_digits)
def only_the_head(model, images, labels, generator):
    """only the last layer is trained"""
    back, order = _modes_kept(model), _drawn(labels, generator)
    optimizer = torch.optim.Adam(list(model.parameters())[-2:], lr=_RATE)
    model.train()
    for _ in range(_EPOCHS):
        for batch in order().split(_BATCH):
            model.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    back()
    return model


@wrong(fit_digits)
def softmax_before_the_loss(model, images, labels, generator):
    """a softmax stands before a loss that takes one itself: who is sure and wrong learns nothing"""
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)

    def step(inputs, targets):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs).softmax(1), targets).backward()
        optimizer.step()

    return _fit(model, images, labels, _drawn(labels, generator), step)


@wrong(fit_digits)
def squared_probabilities(model, images, labels, generator):
    """the loss is the squared error of probabilities: it is flat where the model is sure"""
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)

    def step(inputs, targets):
        optimizer.zero_grad()
        F.mse_loss(model(inputs).softmax(1), F.one_hot(targets, 10).float()).backward()
        optimizer.step()

    return _fit(model, images, labels, _drawn(labels, generator), step)


@wrong(fit_digits)
def uphill(model, images, labels, generator):
    """the loss is driven up, not down"""
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)

    def step(inputs, targets):
        optimizer.zero_grad()
        (-F.cross_entropy(model(inputs), targets)).backward()
        optimizer.step()

    return _fit(model, images, labels, _drawn(labels, generator), step)


@wrong(fit_digits)
def gradients_pile_up(model, images, labels, generator):
    """zero_grad is missing: each step follows the gradients of all batches before as well"""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003)

    def step(inputs, targets):
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return _fit(model, images, labels, _drawn(labels, generator), step)


@wrong(fit_digits)
def shuffled_apart(model, images, labels, generator):
    """images and labels are shuffled apart: each image gets the label of another"""
    order = torch.randperm(len(labels), generator=generator)
    return _fit(model, images, labels[order], _drawn(labels, generator))


@wrong(fit_digits)
def labels_one_on(model, images, labels, generator):
    """the labels are moved on by one: a 3 is taught to be a 4"""
    return _fit(model, images, (labels + 1) % 10, _drawn(labels, generator))


@wrong(fit_digits)
def never_shuffled(model, images, labels, generator):
    """the images are not shuffled: the generator is not used"""
    return _fit(model, images, labels, lambda: torch.arange(len(labels)))


@wrong(fit_digits)
def shuffled_by_torchs_generator(model, images, labels, generator):
    """the order is drawn from torch's default generator, not from the one handed in"""
    return _fit(model, images, labels, lambda: torch.randperm(len(labels)))


@wrong(fit_digits)
def shuffled_by_numpy(model, images, labels, generator):
    """the order is drawn from numpy, not from the generator"""
    return _fit(
        model, images, labels, lambda: torch.from_numpy(np.random.permutation(len(labels)))
    )  # fmt: skip


@wrong(fit_digits)
def shuffled_by_its_own(model, images, labels, generator):
    """the order is drawn from a generator with a fixed seed, not from the one handed in"""
    return _fit(model, images, labels, _drawn(labels, torch.Generator().manual_seed(0)))


@wrong(fit_digits)
def shuffled_by_its_seed(model, images, labels, generator):
    """a generator with the same seed gives the order: the one handed in may be further on"""
    twin = torch.Generator().manual_seed(generator.initial_seed())
    return _fit(model, images, labels, _drawn(labels, twin))


@wrong(fit_digits)
def generator_seeded(model, images, labels, generator):
    """the generator is seeded anew: whatever the caller seeded, the order is the same"""
    return _fit(model, images, labels, _drawn(labels, generator.manual_seed(0)))


@wrong(fit_digits)
def global_seed_set(model, images, labels, generator):
    """torch's global seed is set: all that the caller draws afterwards is the same each time"""
    torch.default_generator.manual_seed(0)
    return _fit(model, images, labels, _drawn(labels, generator))


@wrong(fit_digits)
def numpys_seed_set(model, images, labels, generator):
    """numpy's global seed is set"""
    np.random.seed(0)
    return _fit(model, images, labels, _drawn(labels, generator))


@wrong(fit_digits)
def in_eval(model, images, labels, generator):
    """the model trains in eval: dropout and batch norm sleep"""
    return _fit(model, images, labels, _drawn(labels, generator), training=False)


@wrong(fit_digits)
def in_the_mode_it_has(model, images, labels, generator):
    """the model trains in the mode it has, without train()"""
    order = _drawn(labels, generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
    for _ in range(_EPOCHS):
        for batch in order().split(_BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    return model


@wrong(fit_digits)
def left_in_train(model, images, labels, generator):
    """the model is left in train mode"""
    return _fit(model, images, labels, _drawn(labels, generator)).train()


@wrong(fit_digits)
def left_in_eval(model, images, labels, generator):
    """the model is left in eval, whatever mode it had"""
    return _fit(model, images, labels, _drawn(labels, generator)).eval()


@wrong(fit_digits)
def mode_of_the_root(model, images, labels, generator):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    try:
        return in_the_mode_it_has(model.train(), images, labels, generator)
    finally:
        model.train(mode)


@wrong(fit_digits)
def modes_without_finally(model, images, labels, generator):
    """the modes come back only if all goes well: after an exception all is left in train"""
    back = _modes_kept(model)
    in_the_mode_it_has(model.train(), images, labels, generator)
    back()
    return model


@wrong(fit_digits)
def unfreezes(model, images, labels, generator):
    """requires_grad is switched on everywhere: frozen weights are trained too"""
    return _fit(model.requires_grad_(True), images, labels, _drawn(labels, generator))


@wrong(fit_digits)
def freezes(model, images, labels, generator):
    """requires_grad is switched off when it is done: nobody can train on"""
    return _fit(model, images, labels, _drawn(labels, generator)).requires_grad_(False)


@wrong(fit_digits)
def hook_left(model, images, labels, generator):
    """a hook is left on the model"""
    model.register_forward_hook(lambda *_: None)
    return _fit(model, images, labels, _drawn(labels, generator))


@wrong(fit_digits)
def first_batch_only(model, images, labels, generator):
    """only the first batch is used, again and again: most images are never seen"""

    def order():
        return torch.randperm(_BATCH, generator=generator)

    return _fit(model, images, labels, order, epochs=4 * _EPOCHS)


@wrong(fit_digits)
def tenth_held_back(model, images, labels, generator):
    """a part of the images is held back for validation: every image is to be used"""

    def order():
        return torch.randperm(len(labels) * 9 // 10, generator=generator)

    return _fit(model, images, labels, order)


@wrong(fit_digits)
def images_centred_in_place(model, images, labels, generator):
    """the mean is taken out of the images in place: the caller's images change"""
    images -= images.mean()
    return _fit(model, images, labels, _drawn(labels, generator))


@wrong(fit_digits)
def one_short_epoch(model, images, labels, generator):
    """training ends after one epoch with a small rate: far too little is learnt"""
    return _fit(model, images, labels, _drawn(labels, generator), epochs=1, rate=1e-4)


@wrong(fit_digits)
def rate_too_large(model, images, labels, generator):
    """the rate is far too large: the loss explodes"""
    return _fit(model, images, labels, _drawn(labels, generator), rate=1e30)


def show(answer):
    """The held-out digits that the trained network reads wrong: what they are, what it said."""
    from matplotlib.figure import Figure

    from data import split_digits

    parts = [torch.from_numpy(part) for part in split_digits()]
    images, labels, held_out, truth = parts
    torch.default_generator.manual_seed(0)
    model = answer.make_digit_model()
    answer.fit_digits(model, images, labels, torch.Generator().manual_seed(0))
    with torch.no_grad():
        said = model.eval()(held_out).argmax(1)
    mistakes = (said != truth).nonzero()[:, 0]
    figure = Figure(figsize=(8, 4), layout="constrained")
    count = f"{len(mistakes)} of {len(truth)} held-out digits are read wrong"
    figure.suptitle(f"{count}: {1 - len(mistakes) / len(truth):.1%} right", fontsize=11)
    axes = figure.subplots(2, 6)
    for axis, place in zip(axes.ravel(), mistakes.tolist(), strict=False):
        axis.imshow(held_out[place, 0], cmap="gray")
        axis.set_title(f"a {truth[place]}, said {said[place]}", fontsize=9)
    for axis in axes.ravel():
        axis.set_axis_off()
    return figure
