"""Find the cue that a network cheats with: a small box that carries the whole decision."""

from itertools import product

import torch
from torch import Tensor, nn

from dojo import right, wrong

Box = tuple[int, int, int, int]


def find_shortcut(model: nn.Module, images: Tensor, labels: Tensor) -> Box | None:
    """Name the small box that decides, if there is one, as (top, left, bottom, right).

    A network may read a watermark in the corner instead of the animal. To find out what a box
    contributes, its content is exchanged: each image gets the pixels that an image of another
    class has in this box. The rest of the image stays, and nothing unnatural is put in, as a
    grey patch would be. What is lost is counted on the margin, the true class's logit less the
    largest other one, on average over all images.

    A shortcut is a box of at most a quarter of the image whose exchange takes away at least
    75 % of the margin that is lost when whole images are exchanged. The smallest one is asked
    for, as well as it can be found: it must overlap the cue by half or more (intersection over
    union). Where no such box exists the network looks at more than a corner: None.

    The model runs in eval and comes back as it was; nothing random has a part in the search.

    Shapes:
        images: (N, C, H, W), of several classes; labels: (N,) int64
        model: gives logits (N, K)
        returns: four ints, all inclusive, inside the image; or None

    Example:
        >>> class Corner(nn.Module):
        ...     def forward(self, x):
        ...         return torch.stack([-x[:, 0, 0, 0], x[:, 0, 0, 0]], 1)
        >>> images, labels = torch.zeros(4, 1, 6, 6), torch.tensor([0, 1, 0, 1])
        >>> images[:, 0, 0, 0] = labels * 2.0 - 1
        >>> find_shortcut(Corner(), images, labels)
        (0, 0, 0, 0)

    Source: Geirhos et al., Shortcut Learning in Deep Neural Networks, arXiv:2004.07780;
        exchanging instead of filling: Chang et al., Explaining Image Classifiers by
        Counterfactual Generation, arXiv:1807.08024.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            return _search(_Exchange(model, images, labels), *images.shape[2:])
    finally:
        for module, mode in modes:
            module.training = mode


class _Exchange:
    """Which share of the margin is lost when boxes are exchanged."""

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor):
        self.model, self.images, self.labels = model, images, labels
        self.donors = images[_other_class(labels)]
        self.margin = self._margin(images[None])
        self.whole = (self.margin - self._margin(self.donors[None])).item()

    def _margin(self, batches: Tensor) -> Tensor:
        """The mean margin of each batch (B, N, C, H, W) -> (B,)."""
        logits = self.model(batches.flatten(0, 1)).unflatten(0, batches.shape[:2])
        true = self.labels.expand(len(batches), -1)[..., None]
        others = logits.scatter(2, true, float("-inf")).amax(2)
        return (logits.gather(2, true)[..., 0] - others).mean(1)

    def shares(self, boxes: list[Box]) -> list[float]:
        found: list[float] = []
        for start in range(0, len(boxes), 32):
            batches = []
            for box in boxes[start : start + 32]:
                batch = self.images.clone()
                place = (..., slice(box[0], box[2] + 1), slice(box[1], box[3] + 1))
                batch[place] = self.donors[place]
                batches.append(batch)
            lost = self.margin - self._margin(torch.stack(batches))
            found += (lost / self.whole).tolist()
        return found


def _other_class(labels: Tensor) -> Tensor:
    """For each image the index of one of another class, going round."""
    places = torch.arange(len(labels))
    chosen = places.clone()
    for shift in range(1, len(labels)):
        candidate = (places + shift) % len(labels)
        open_ = (labels[chosen] == labels) & (labels[candidate] != labels)
        chosen = torch.where(open_, candidate, chosen)
    return chosen


def _search(exchange: _Exchange, height: int, width: int) -> Box | None:
    """Large boxes all over the image; the best one is then trimmed as far as it goes."""
    if exchange.whole <= 0:
        return None
    boxes = []
    for h in range(1, height + 1):
        w = min(width, height * width // 4 // h)
        if w == 0:
            break
        step = max(1, min(h, w) // 3)
        tops = [*range(0, height - h, step), height - h]
        lefts = [*range(0, width - w, step), width - w]
        boxes += [(t, n, t + h - 1, n + w - 1) for t, n in product(tops, lefts)]
    shares = exchange.shares(boxes)
    if max(shares) < 0.75:
        return None
    box = boxes[shares.index(max(shares))]
    while True:
        t, n, b, r = box
        trimmed = [(t + 1, n, b, r), (t, n + 1, b, r), (t, n, b - 1, r), (t, n, b, r - 1)]
        trimmed = [b for b in trimmed if b[0] <= b[2] and b[1] <= b[3]]
        shares = exchange.shares(trimmed) if trimmed else [0.0]
        if max(shares) < 0.75:
            return box
        box = trimmed[shares.index(max(shares))]


HINTS = [
    "If you put a grey patch over something, the network may stumble over the patch. What could "
    "you put there instead that is natural for this very place?",
    "Give each image a donor of another class. Write a function from a box to the share of the "
    "margin that is lost by exchanging it, against exchanging all. Then look at boxes as large "
    "as allowed, all over the image, tall, flat and square.",
    "If the best large box loses less than 75 %, return None. Else trim it: try one row or column "
    "less on each of its four sides, take the trimming that keeps the largest share, and stop "
    "when every one falls below 75 %. All four bounds are inclusive.",
]


def _find(model, images, labels, *, exchange=_Exchange, search=_search):
    """The answer with one part exchanged."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            return search(exchange(model, images, labels), *images.shape[2:])
    finally:
        for module, mode in modes:
            module.training = mode


@right(find_shortcut)
def by_growing(model, images, labels):
    """All small squares first, the best one grown; float64 copies of images and model."""
    import copy

    def search(exchange, height, width):
        side = max(1, min(height, width) // 8)
        small = [(t, n, t + side - 1, n + side - 1)
                 for t in range(height - side + 1) for n in range(width - side + 1)]  # fmt: skip
        shares = exchange.shares(small)
        box = small[shares.index(max(shares))]
        share = max(shares)
        while share < 0.75:
            t, n, b, r = box
            grown = [(t - 1, n, b, r), (t, n - 1, b, r), (t, n, b + 1, r), (t, n, b, r + 1)]
            grown = [
                b for b in grown if b[0] >= 0 and b[1] >= 0 and b[2] < height and b[3] < width
                and 4 * (b[2] - b[0] + 1) * (b[3] - b[1] + 1) <= height * width
            ]  # fmt: skip
            if not grown:
                return None
            gains = exchange.shares(grown)
            # per pixel, so that long sides are not preferred
            sizes = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in grown]
            best = max(range(len(grown)), key=lambda i: (gains[i] - share) / sizes[i])
            box, share = grown[best], gains[best]
        return box

    return _find(copy.deepcopy(model).double(), images.double(), labels, search=search)


@right(find_shortcut)
def by_every_donor(model, images, labels):
    """Each image is exchanged with several others, box by box."""

    class Several(_Exchange):
        def __init__(self, model, images, labels):
            rounds = []
            for shift in range(1, len(labels)):
                order = torch.roll(torch.arange(len(labels)), shift)
                rounds.append(torch.where(labels[order] != labels, order, _other_class(labels)))
            self.model, self.labels = model, labels.repeat(2)
            self.images = images.repeat(2, 1, 1, 1)
            self.donors = images[torch.cat(rounds[:2])]
            self.margin = self._margin(self.images[None])
            self.whole = (self.margin - self._margin(self.donors[None])).item()

    return _find(model, images, labels, exchange=Several)


@right(find_shortcut)
def by_cells(model, images, labels):
    """Cells one by one; the smallest box whose cells lose enough together, if it then does."""

    def search(exchange, height, width):
        cells = [(t, n, t, n) for t in range(height) for n in range(width)]
        lost = torch.tensor(exchange.shares(cells)).reshape(1, 1, height, width)
        best = {}
        for h, w in product(range(1, height + 1), range(1, width + 1)):
            if h * w * 4 <= height * width:
                sums = nn.functional.avg_pool2d(lost, (h, w), 1)[0, 0] * h * w
                top, left = divmod(int(sums.argmax()), sums.shape[1])
                size = best.setdefault(h * w, [])
                size.append((float(sums.max()), (top, left, top + h - 1, left + w - 1)))
        for size in sorted(best):
            total, box = max(best[size])
            if total > 0.6 and exchange.shares([box])[0] >= 0.75:
                return box
        return None

    return _find(model, images, labels, search=search)


def _brightest(values, height, width):
    """The box of a quarter of each side where `values` (H, W) are largest."""
    h, w = max(1, height // 4), max(1, width // 4)
    sums = nn.functional.avg_pool2d(values[None, None], (h, w), 1)[0, 0]
    place = int(sums.argmax())
    top, left = divmod(place, sums.shape[1])
    return top, left, top + h - 1, left + w - 1


@wrong(find_shortcut)
def brightest_region(model, images, labels):
    """it is the brightest region that is named: the model was not asked"""
    return _brightest(images.mean((0, 1)), *images.shape[2:])


@wrong(find_shortcut)
def most_varied_region(model, images, labels):
    """it is the region where images differ most that is named: the model was not asked"""
    return _brightest(images.std(0).mean(0), *images.shape[2:])


@wrong(find_shortcut)
def a_fixed_place(model, images, labels):
    """it is always the top left corner that is named"""
    height, width = images.shape[2:]
    return 0, 0, height // 4 - 1, width // 4 - 1


class _Filled(_Exchange):
    """A constant instead of a donor's pixels."""

    def __init__(self, model, images, labels):
        super().__init__(model, images, labels)
        self.donors = torch.zeros_like(images)
        self.whole = (self.margin - self._margin(self.donors[None])).item()


@wrong(find_shortcut)
def filled_with_zeros(model, images, labels):
    """boxes are filled with a constant, not exchanged: what only has to be there is blamed"""
    return _find(model, images, labels, exchange=_Filled)


class _AnyDonor(_Exchange):
    def __init__(self, model, images, labels):
        super().__init__(model, images, labels)
        self.donors = images.roll(1, 0)


@wrong(find_shortcut)
def donors_of_any_class(model, images, labels):
    """donors are of any class: an image may be exchanged with one of its own"""
    return _find(model, images, labels, exchange=_AnyDonor)


@wrong(find_shortcut)
def exclusive_bounds(model, images, labels):
    """bottom and right are exclusive: one too large"""
    box = find_shortcut(model, images, labels)
    return box and (box[0], box[1], box[2] + 1, box[3] + 1)


@wrong(find_shortcut)
def rows_and_columns_exchanged(model, images, labels):
    """rows and columns are exchanged: (left, top, right, bottom)"""
    box = find_shortcut(model, images, labels)
    return box and (box[1], box[0], box[3], box[2])


@wrong(find_shortcut)
def place_and_size(model, images, labels):
    """it is (top, left, height, width), not (top, left, bottom, right)"""
    box = find_shortcut(model, images, labels)
    return box and (box[0], box[1], box[2] - box[0] + 1, box[3] - box[1] + 1)


@wrong(find_shortcut)
def always_a_box(model, images, labels):
    """there is always a box: None is never given"""
    box = find_shortcut(model, images, labels)
    return box or (0, 0, images.shape[2] // 2 - 1, images.shape[3] // 2 - 1)


@wrong(find_shortcut)
def never_a_box(model, images, labels):
    """it never finds anything: always None"""


@wrong(find_shortcut)
def not_trimmed(model, images, labels):
    """the box is as large as is allowed, not as small as it can be"""

    def search(exchange, height, width):
        if _search(exchange, height, width) is None:
            return None
        h, w = height // 2, width // 2
        boxes = [(t, n, t + h - 1, n + w - 1)
                 for t in range(height - h + 1) for n in range(width - w + 1)]  # fmt: skip
        shares = exchange.shares(boxes)
        return boxes[shares.index(max(shares))]

    return _find(model, images, labels, search=search)


@wrong(find_shortcut)
def the_best_pixel(model, images, labels):
    """it is the one pixel that matters most, not the box"""

    def search(exchange, height, width):
        if _search(exchange, height, width) is None:
            return None
        boxes = [(t, n, t, n) for t in range(height) for n in range(width)]
        shares = exchange.shares(boxes)
        return boxes[shares.index(max(shares))]

    return _find(model, images, labels, search=search)


@wrong(find_shortcut)
def borders_left_out(model, images, labels):
    """the last rows and columns are never looked at"""

    def search(exchange, height, width):
        return _search(exchange, height - 3, width - 3)

    return _find(model, images, labels, search=search)


class _FirstClass(_Exchange):
    """The logit of class 0 is watched, whatever the true class."""

    def _margin(self, batches):
        logits = self.model(batches.flatten(0, 1)).unflatten(0, batches.shape[:2])
        return (logits[..., 0] - logits[..., 1:].amax(2)).mean(1)


@wrong(find_shortcut)
def the_first_class_only(model, images, labels):
    """the logit of class 0 is watched in every image, not that of the true class"""
    return _find(model, images, labels, exchange=_FirstClass)


class _FirstImage(_Exchange):
    def __init__(self, model, images, labels):
        super().__init__(model, images, labels)
        self.images, self.donors, self.labels = images[:1], self.donors[:1], labels[:1]
        self.margin = self._margin(self.images[None])
        self.whole = (self.margin - self._margin(self.donors[None])).item()


@wrong(find_shortcut)
def the_first_image_only(model, images, labels):
    """only the first image is looked at"""
    return _find(model, images, labels, exchange=_FirstImage)


@wrong(find_shortcut)
def as_tensors(model, images, labels):
    """the bounds are tensors, not ints"""
    box = find_shortcut(model, images, labels)
    return box and tuple(torch.tensor(bound) for bound in box)


@wrong(find_shortcut)
def mode_as_it_is(model, images, labels):
    """the model is not put into eval: its own dropout disturbs the search"""
    with torch.no_grad():
        return _search(_Exchange(model, images, labels), *images.shape[2:])


@wrong(find_shortcut)
def left_in_eval(model, images, labels):
    """the model is left in eval"""
    box = find_shortcut(model, images, labels)
    model.eval()
    return box


@wrong(find_shortcut)
def images_written_into(model, images, labels):
    """the images handed in are written into"""
    box = find_shortcut(model, images, labels)
    images[:, :, 0, 0] = images[:, :, 0, 0].roll(1, 0) + 1
    return box


@wrong(find_shortcut)
def donors_by_chance(model, images, labels):
    """donors are drawn from torch's global generator"""
    torch.randperm(len(labels))
    return find_shortcut(model, images, labels)


class _TrueLogit(_Exchange):
    """What is watched is a number of the true class alone."""

    scores = staticmethod(lambda logits: logits)

    def _margin(self, batches):
        logits = self.model(batches.flatten(0, 1)).unflatten(0, batches.shape[:2])
        true = self.labels.expand(len(batches), -1)[..., None]
        return self.scores(logits).gather(2, true)[..., 0].mean(1)


@wrong(find_shortcut)
def the_true_logit_only(model, images, labels):
    """the true logit alone is watched, not its margin over the largest other one"""
    return _find(model, images, labels, exchange=_TrueLogit)


class _MeanOfOthers(_TrueLogit):
    scores = staticmethod(lambda logits: logits - logits.mean(2, keepdim=True))


@wrong(find_shortcut)
def the_mean_of_the_others(model, images, labels):
    """the margin is taken over the mean of the other logits, not over the largest of them"""
    return _find(model, images, labels, exchange=_MeanOfOthers)


class _Probability(_TrueLogit):
    scores = staticmethod(lambda logits: logits.softmax(2))


@wrong(find_shortcut)
def the_probability(model, images, labels):
    """the probability of the true class is watched, not its margin"""
    return _find(model, images, labels, exchange=_Probability)


class _Loss(_TrueLogit):
    scores = staticmethod(lambda logits: logits.log_softmax(2))


@wrong(find_shortcut)
def the_loss(model, images, labels):
    """the loss (or log-probability) is watched, not the margin"""
    return _find(model, images, labels, exchange=_Loss)


class _FirstChannel(_Exchange):
    """Donors in one channel, against which the whole is measured too."""

    def __init__(self, model, images, labels):
        super().__init__(model, images, labels)
        self.donors = torch.cat([self.donors[:, :1], images[:, 1:]], 1)
        self.whole = (self.margin - self._margin(self.donors[None])).item()


@wrong(find_shortcut)
def the_first_channel_only(model, images, labels):
    """only the first channel of a box is exchanged"""
    return _find(model, images, labels, exchange=_FirstChannel)


@wrong(find_shortcut)
def bottom_one_too_small(model, images, labels):
    """bottom is one too small: the last row of the box is lost"""
    box = find_shortcut(model, images, labels)
    return box and (box[0], box[1], max(box[0], box[2] - 1), box[3])


class _Scaled(_Exchange):
    """Shares multiplied, so that the limit of 75 % is another one."""

    factor = 1.25

    def shares(self, boxes):
        return [self.factor * share for share in super().shares(boxes)]


class _ScaledDown(_Scaled):
    factor = 0.8


@wrong(find_shortcut)
def sixty_percent(model, images, labels):
    """a box is taken that takes away 60 % of the margin, not 75 %"""
    return _find(model, images, labels, exchange=_Scaled)


@wrong(find_shortcut)
def ninety_percent(model, images, labels):
    """a box must take away more than 90 % of the margin, not 75 %"""
    return _find(model, images, labels, exchange=_ScaledDown)


def _smaller_than(part, sides):
    """The search among boxes of a part of the image, with sides of no more than a share."""

    def search(exchange, height, width):
        boxes = [
            (t, n, t + h - 1, n + w - 1)
            for h in range(1, int(height * sides) + 1)
            for w in [min(int(width * sides), height * width // part // h)]
            if w
            for t, n in product(range(height - h + 1), range(width - w + 1))
        ]
        if max(exchange.shares(boxes)) < 0.75:
            return None
        return _search(exchange, height, width)

    return search


@wrong(find_shortcut)
def an_eighth_at_most(model, images, labels):
    """boxes of more than an eighth of the image are not looked at"""
    return _find(model, images, labels, search=_smaller_than(8, 1))


@wrong(find_shortcut)
def half_of_each_side(model, images, labels):
    """no box is looked at that is longer than half of a side"""
    return _find(model, images, labels, search=_smaller_than(4, 0.5))


@wrong(find_shortcut)
def the_size_of_one_image(model, images, labels):
    """the size of the image is a constant, 16x20"""
    return _find(model, images, labels, search=lambda exchange, *_: _search(exchange, 16, 20))


@wrong(find_shortcut)
def eval_if_the_root_trains(model, images, labels):
    """a model whose root is in eval is left as it is, though a part of it may be in train"""
    return (find_shortcut if model.training else mode_as_it_is)(model, images, labels)


def show(answer):
    """A network that reads a bar beside the digit, and what the detective says of it."""
    from matplotlib.patches import Rectangle

    from data import digits
    from dojo.pictures import signed_maps

    images = torch.from_numpy(digits()[0][:240])
    labels = torch.arange(240) % 3  # whatever the digit: only the bar below it tells the class
    for image, label in zip(images, labels, strict=True):
        image[0, 22:27, 2 + 3 * int(label) : 4 + 3 * int(label)] = 1.0
    torch.default_generator.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 13 * 13, 3)
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    box = answer.find_shortcut(model, images[:60], labels[:60])
    chosen = {f"class {label}": images[labels == label][0] for label in range(3)}
    figure = signed_maps(chosen, {})
    for axis in figure.axes[:3]:
        if box is not None:
            top, left, bottom, right_ = box
            size = (right_ - left + 1, bottom - top + 1)
            axis.add_patch(
                Rectangle((left - 0.5, top - 0.5), *size, fill=False, edgecolor="red", lw=2)
            )
    told = "no shortcut" if box is None else f"the shortcut: {box}"
    figure.suptitle(told, fontsize=10)
    return figure
