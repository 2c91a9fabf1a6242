"""Batch normalisation: the layer that lives one life in training and another after it."""

import torch
from torch import Tensor, nn

from dojo import right, wrong


class BatchNorm2d(nn.Module):
    """Give every channel mean 0 and variance 1, then let it learn its own scale and shift.

    In training a channel is measured over the whole batch: all images, all rows, all columns.
    These measures normalise the batch, and a moving average of them is kept for later. In eval
    the kept ones are used instead, so that an image's result does not depend on its batch.
    The variance has two faces: divided by the count to normalise, by the count less 1 to
    remember. `momentum` is the share of the new batch in what is kept; eps joins the variance
    under the root. What is kept is saved with the model, but takes no part in gradients.
    None of torch's own batch norms may run inside.

    State_dicts are exchanged with torch's layer, hence the names. Parameters: weight (ones)
    and bias (zeros). Buffers: running_mean (zeros), running_var (ones) and
    num_batches_tracked (int64, counts the batches seen in training).

    Shapes:
        all but the counter: (C,) with C = num_features
        x: (N, C, H, W); in training more than one value a channel; it is not changed
        returns: as x

    Example:
        >>> layer = BatchNorm2d(1)
        >>> layer(torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)).flatten().tolist()
        [-0.9999949932098389, 0.9999949932098389]

    Raises:
        ValueError: x has not 4 axes, or not num_features channels, or in training only one
            value a channel.

    Source: Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, algorithms 1 and 2.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError(f"x is {tuple(x.shape)}, expected (N, {self.num_features}, H, W)")
        mean, variance = self.running_mean, self.running_var
        if self.training:
            count = x.numel() // self.num_features
            if count < 2:
                raise ValueError(f"one value a channel has no variance: x is {tuple(x.shape)}")
            mean = x.mean((0, 2, 3))
            variance = x.var((0, 2, 3), unbiased=False)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum)
                self.num_batches_tracked += 1
        scale = self.weight / torch.sqrt(variance + self.eps)
        centred = x - mean[:, None, None]
        return centred * scale[:, None, None] + self.bias[:, None, None]


HINTS = [
    "x is (N, C, H, W) and each channel gets one mean. Over which axes is it taken? And in eval "
    "with one single image of one single colour: where does the mean come from then?",
    "register_buffer for what is saved but not trained, nn.Parameter for what is trained. Ask "
    "self.training in forward. x.var(axes, unbiased=False) is the variance to normalise by; the "
    "one to remember is larger by count / (count - 1). Update inside torch.no_grad().",
    "new = (1 - momentum) * old + momentum * measured, for mean and variance. The result is "
    "(x - mean) / sqrt(variance + eps) * weight + bias, with every (C,) tensor seen as "
    "(C, 1, 1).",
]


@right(BatchNorm2d)
class ChannelsLast(BatchNorm2d):
    """In float64 over a matrix with one column a channel."""

    def forward(self, x):
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError("x has another shape")
        rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).double()
        if self.training:
            if len(rows) == 1:
                raise ValueError("one value has no variance")
            mean = rows.sum(0) / len(rows)
            squares = ((rows - mean) ** 2).sum(0)
            variance, kept = squares / len(rows), squares.detach() / (len(rows) - 1)
            share = self.momentum
            self.running_mean = (1 - share) * self.running_mean + share * mean.detach().float()
            self.running_mean = self.running_mean.to(self.weight.dtype)
            self.running_var.copy_((1 - share) * self.running_var + share * kept)
            self.num_batches_tracked.add_(1)
        else:
            mean, variance = self.running_mean.double(), self.running_var.double()
        rows = (rows - mean) * (variance + self.eps) ** -0.5 * self.weight + self.bias
        images, _, height, width = x.shape
        return rows.reshape(images, height, width, -1).permute(0, 3, 1, 2).to(x.dtype)


@right(BatchNorm2d)
class TorchsOwnStatistics(nn.Module):
    """var_mean, buffers shaped (1, C, 1, 1) on the way, one fused line at the end."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.keep, self.tiny = momentum, eps
        for name, start in (("weight", 1.0), ("bias", 0.0)):
            self.register_parameter(name, nn.Parameter(torch.full((num_features,), start)))
        for name, start in (("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((num_features,), start))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        if x.dim() != 4:
            raise ValueError(f"{x.dim()} axes")
        if x.size(1) != len(self.weight):
            raise ValueError(f"{x.size(1)} channels")
        if not self.training:
            mean, var = (b.view(1, -1, 1, 1) for b in (self.running_mean, self.running_var))
        else:
            if x[:, 0].numel() == 1:
                raise ValueError("nothing to measure")
            var, mean = torch.var_mean(x, (0, 2, 3), correction=1, keepdim=True)
            for kept, new in ((self.running_mean, mean), (self.running_var, var)):
                kept.data += self.keep * (new.detach().flatten() - kept)
            self.num_batches_tracked += 1
            var = var * (1 - 1 / x[:, 0].numel())
        gain = self.weight.view(1, -1, 1, 1) * torch.rsqrt(var + self.tiny)
        return x * gain + (self.bias.view(1, -1, 1, 1) - mean * gain)


@right(BatchNorm2d)
class ChannelByChannel(BatchNorm2d):
    """Hand-written loops: one channel after the other, and a mean that is a sum over a count."""

    def forward(self, x):
        if x.ndim != 4:
            raise ValueError(f"{x.ndim} axes")
        if x.shape[1] != self.weight.numel():
            raise ValueError(f"{x.shape[1]} channels")
        count = x.shape[0] * x.shape[2] * x.shape[3]
        if self.training and count == 1:
            raise ValueError("one value")
        maps = []
        for c in range(x.shape[1]):
            values = x[:, c]
            mean, variance = self.running_mean[c].clone(), self.running_var[c].clone()
            if self.training:
                mean = values.sum() / count
                variance = ((values - mean) ** 2).sum() / count
                unbiased = variance.detach() * count / (count - 1)
                with torch.no_grad():
                    self.running_mean[c] += self.momentum * (mean - self.running_mean[c])
                    self.running_var[c] += self.momentum * (unbiased - self.running_var[c])
            normal = (values - mean) / (variance + self.eps) ** 0.5
            maps.append(self.weight[c] * normal + self.bias[c])
        if self.training:
            self.num_batches_tracked += 1
        return torch.stack(maps, dim=1)


def _normalised(x, mean, variance, weight, bias, eps):
    return torch.addcmul(bias, x - mean, weight / (variance + eps).sqrt())


@right(BatchNorm2d)
class FunctionalCore(nn.Module):
    """A function without memory does the sums, with the channels as the last axis; the layer
    remembers. The variance is the mean of the squares less the square of the mean."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.settings = {"eps": eps, "momentum": momentum}
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        for name, start in nn.BatchNorm2d(num_features).named_buffers():
            self.register_buffer(name, start.clone())

    def forward(self, x):
        wanted = tuple(self.running_mean.shape)
        if len(x.shape) != 4 or (x.shape[1],) != wanted:
            raise ValueError(f"x is {tuple(x.shape)}")
        last = x.movedim(1, -1)
        if not self.training:
            mean, variance = self.running_mean, self.running_var
        else:
            mean, variance = self._measured(last)
        parts = mean, variance, self.weight, self.bias, self.settings["eps"]
        return _normalised(last, *parts).movedim(-1, 1)

    def _measured(self, last):
        count = last[..., 0].numel()
        if count <= 1:
            raise ValueError("one value a channel")
        exact = last.double()
        mean = exact.mean(dim=(0, 1, 2))
        variance = exact.square().mean(dim=(0, 1, 2)) - mean.square()
        for kept, new in zip(self._kept(), (mean, variance * (count / (count - 1))), strict=True):
            share = self.settings["momentum"]
            kept.copy_(kept * (1 - share) + new.detach().to(kept.dtype) * share)
        self.num_batches_tracked.add_(1)
        return mean.to(last.dtype), variance.to(last.dtype)

    def _kept(self):
        return self.running_mean, self.running_var


class _Layer(BatchNorm2d):
    """The layer that mistakes are made in: every step of it is a method."""

    def measure(self, x):
        return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)

    def to_remember(self, variance, count):
        return variance * count / (count - 1)

    def keep(self, mean, variance):
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
            self.num_batches_tracked += 1

    def root(self, variance):
        return torch.sqrt(variance + self.eps)

    def affine(self, x):
        return x * self.weight[:, None, None] + self.bias[:, None, None]

    def check(self, x):
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError(f"x is {tuple(x.shape)}")
        if self.training and x[:, 0].numel() < 2:
            raise ValueError("one value a channel")

    def in_training(self, x):
        mean, variance = self.measure(x)
        self.keep(mean, self.to_remember(variance, x.numel() // x.shape[1]))
        return mean, variance

    def in_eval(self, x):
        return self.running_mean, self.running_var

    def normalise(self, x, mean, variance):
        return (x - mean[:, None, None]) / self.root(variance)[:, None, None]

    def forward(self, x):
        self.check(x)
        mean, variance = self.in_training(x) if self.training else self.in_eval(x)
        return self.affine(self.normalise(x, mean, variance))


@wrong(BatchNorm2d)
class TorchsOwn(nn.BatchNorm2d):
    """torch's own batch norm does the work: the layer is to be built"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, max(eps, 1e-12), momentum)

    def forward(self, x):
        _Layer.check(self, x)
        return super().forward(x)


@wrong(BatchNorm2d)
class UnbiasedToNormalise(_Layer):
    """the unbiased variance (divided by the count less 1) is used to normalise"""

    def measure(self, x):
        return x.mean((0, 2, 3)), x.var((0, 2, 3))

    def to_remember(self, variance, count):
        return variance


@wrong(BatchNorm2d)
class BiasedRemembered(_Layer):
    """the running variance keeps the biased variance: it has to be the unbiased one"""

    def to_remember(self, variance, count):
        return variance


@wrong(BatchNorm2d)
class VariancesExchanged(_Layer):
    """the variances are exchanged: unbiased to normalise, biased to remember"""

    def in_training(self, x):
        mean, variance = self.measure(x)
        self.keep(mean, variance)
        return mean, x.var((0, 2, 3))


@wrong(BatchNorm2d)
class VarianceNeverUpdated(_Layer):
    """the running variance is never updated"""

    def keep(self, mean, variance):
        super().keep(mean, self.running_var.clone())


@wrong(BatchNorm2d)
class MeanNeverUpdated(_Layer):
    """the running mean is never updated"""

    def keep(self, mean, variance):
        super().keep(self.running_mean.clone(), variance)


@wrong(BatchNorm2d)
class NothingRemembered(_Layer):
    """the running statistics are never updated"""

    def keep(self, mean, variance):
        self.num_batches_tracked += 1


@wrong(BatchNorm2d)
class VarianceMomentumReversed(_Layer):
    """the momentum of the running variance is reversed: it is the share of the new batch"""

    def keep(self, mean, variance):
        super().keep(mean, self.running_var.lerp(variance, (1 - self.momentum) / self.momentum))


@wrong(BatchNorm2d)
class MeanMomentumReversed(_Layer):
    """the momentum of the running mean is reversed: it is the share of the new batch"""

    def keep(self, mean, variance):
        super().keep(self.running_mean.lerp(mean, (1 - self.momentum) / self.momentum), variance)


@wrong(BatchNorm2d)
class MomentumReversed(_Layer):
    """the momentum is reversed: it is the share of the new batch, not of the old value"""

    def keep(self, mean, variance):
        with torch.no_grad():
            self.running_mean.lerp_(mean, 1 - self.momentum)
            self.running_var.lerp_(variance, 1 - self.momentum)
            self.num_batches_tracked += 1


@wrong(BatchNorm2d)
class MomentumIgnored(_Layer):
    """the momentum that is given is ignored: 0.1 is used"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps)


@wrong(BatchNorm2d)
class MomentumZeroIgnored(_Layer):
    """a momentum of 0 is taken for none: `momentum or 0.1` makes it 0.1"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum or 0.1)


@wrong(BatchNorm2d)
class LastBatchKept(_Layer):
    """only the last batch is remembered: the running statistics are replaced, not averaged"""

    def keep(self, mean, variance):
        with torch.no_grad():
            self.running_mean.copy_(mean)
            self.running_var.copy_(variance)
            self.num_batches_tracked += 1


@wrong(BatchNorm2d)
class FirstBatchKept(_Layer):
    """the first batch replaces the running statistics: it too should enter by momentum only"""

    def keep(self, mean, variance):
        if self.num_batches_tracked == 0:
            self.running_mean.copy_(mean.detach())
            self.running_var.copy_(variance.detach())
        super().keep(mean, variance)


@wrong(BatchNorm2d)
class AddedUp(_Layer):
    """each batch is added to the running statistics, and the old ones do not fade"""

    def keep(self, mean, variance):
        with torch.no_grad():
            self.running_mean += self.momentum * mean
            self.running_var += self.momentum * variance
            self.num_batches_tracked += 1


@wrong(BatchNorm2d)
class RunningInTraining(_Layer):
    """training normalises with the running statistics, not with those of the batch"""

    def in_training(self, x):
        super().in_training(x)
        return self.running_mean.clone(), self.running_var.clone()


@wrong(BatchNorm2d)
class BatchInEval(_Layer):
    """eval normalises with batch statistics: the running ones are not used"""

    def in_eval(self, x):
        return self.measure(x)


@wrong(BatchNorm2d)
class FirstEvalKept(_Layer):
    """eval goes on with the statistics of its first call: later training does not reach it"""

    def in_eval(self, x):
        if not hasattr(self, "first"):
            self.first = self.running_mean.clone(), self.running_var.clone()
        return self.first


@wrong(BatchNorm2d)
class EvalRemembers(_Layer):
    """eval updates the running statistics: they are to change in training only"""

    def in_eval(self, x):
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        measured, count = self.measure(x), max(x[:, 0].numel(), 2)
        self.keep(measured[0], self.to_remember(measured[1], count))
        return mean, variance


@wrong(BatchNorm2d)
class EvalMeanOnly(_Layer):
    """eval does not divide: only the running mean is taken away"""

    def in_eval(self, x):
        return self.running_mean, torch.full_like(self.running_var, 1 - self.eps)


@wrong(BatchNorm2d)
class EvalWrongAxis(_Layer):
    """eval divides along the wrong axis: the width instead of the channels"""

    def normalise(self, x, mean, variance):
        if self.training:
            return super().normalise(x, mean, variance)
        return (x - mean[:, None, None]) / self.root(variance)


@wrong(BatchNorm2d)
class EvalUnscaled(_Layer):
    """eval does not normalise at all: only weight and bias are applied"""

    def normalise(self, x, mean, variance):
        return super().normalise(x, mean, variance) if self.training else x


@wrong(BatchNorm2d)
class NoAffine(_Layer):
    """affine is ignored: weight and bias are there and never used"""

    def affine(self, x):
        return x + 0 * self.weight.sum() + 0 * self.bias.sum()


@wrong(BatchNorm2d)
class WeightIgnored(_Layer):
    """weight is ignored: only bias is added"""

    def affine(self, x):
        return x + self.bias[:, None, None]


@wrong(BatchNorm2d)
class BiasIgnored(_Layer):
    """bias is ignored: only weight is multiplied"""

    def affine(self, x):
        return x * self.weight[:, None, None]


@wrong(BatchNorm2d)
class FirstWeightForAll(_Layer):
    """weight[0] is used for all channels"""

    def affine(self, x):
        return x * self.weight[0] + self.bias[:, None, None]


@wrong(BatchNorm2d)
class AffineOnTheWrongAxis(_Layer):
    """affine is on the wrong axis: weight and bias run along the width, not the channels"""

    def affine(self, x):
        return x * self.weight + self.bias


@wrong(BatchNorm2d)
class AffineAlongTheRows(_Layer):
    """affine is on the wrong axis: weight and bias run along the height, not the channels"""

    def affine(self, x):
        return x * self.weight[:, None] + self.bias[:, None]


@wrong(BatchNorm2d)
class BiasBeforeWeight(_Layer):
    """bias is added before weight is multiplied"""

    def affine(self, x):
        return (x + self.bias[:, None, None]) * self.weight[:, None, None]


@wrong(BatchNorm2d)
class EpsOutside(_Layer):
    """eps stands outside of the root: it belongs to the variance"""

    def root(self, variance):
        return torch.sqrt(variance) + self.eps


@wrong(BatchNorm2d)
class NoEps(_Layer):
    """there is no eps: a channel without variance is divided by 0"""

    def root(self, variance):
        return torch.sqrt(variance)


@wrong(BatchNorm2d)
class EpsIgnored(_Layer):
    """the eps that is given is ignored: 1e-5 is used"""

    def root(self, variance):
        return torch.sqrt(variance + 1e-5)


@wrong(BatchNorm2d)
class EpsZeroIgnored(_Layer):
    """an eps of 0 is taken for none: `eps or 1e-5` makes it 1e-5"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps or 1e-5, momentum)


@wrong(BatchNorm2d)
class ByViews(_Layer):
    """x.view stops where x is itself a view, as a transposed one: reshape does not"""

    def measure(self, x):
        return super().measure(x.view(*x.shape[:2], -1, 1))


@wrong(BatchNorm2d)
class NoRoot(_Layer):
    """the root is missing: it is divided by the variance"""

    def root(self, variance):
        return variance + self.eps


@wrong(BatchNorm2d)
class PlainAttributes(_Layer):
    """the running statistics are plain attributes, not (persistent) buffers: they are not saved"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)
        del self.running_mean, self.running_var
        self.running_mean, self.running_var = torch.zeros(num_features), torch.ones(num_features)


@wrong(BatchNorm2d)
class StatisticsTrained(_Layer):
    """the running statistics are parameters: an optimiser would train them"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)
        del self.running_mean, self.running_var
        self.running_mean = nn.Parameter(torch.zeros(num_features))
        self.running_var = nn.Parameter(torch.ones(num_features))


@wrong(BatchNorm2d)
class NotDetached(_Layer):
    """the running statistics are not detached: they drag the graphs of all batches along"""

    def keep(self, mean, variance):
        self.running_mean = self.running_mean * (1 - self.momentum) + self.momentum * mean
        self.running_var = self.running_var * (1 - self.momentum) + self.momentum * variance
        self.num_batches_tracked += 1


@wrong(BatchNorm2d)
class BatchDetached(_Layer):
    """the batch's mean and variance are detached: the gradient does not go through them"""

    def in_training(self, x):
        mean, variance = super().in_training(x)
        return mean.detach(), variance.detach()


@wrong(BatchNorm2d)
class MeanDetached(_Layer):
    """the batch's mean is detached: the gradient does not go through it"""

    def in_training(self, x):
        mean, variance = super().in_training(x)
        return mean.detach(), variance


@wrong(BatchNorm2d)
class VarianceDetached(_Layer):
    """the batch's variance is detached: the gradient does not go through it"""

    def measure(self, x):
        mean, variance = super().measure(x)
        return mean, variance.detach()


class _OtherAxes(_Layer):
    axes: tuple = ()

    def forward(self, x):
        self.check(x)
        if not self.training:
            return super().forward(x)
        self.in_training(x)
        mean, variance = x.mean(self.axes, True), x.var(self.axes, unbiased=False, keepdim=True)
        return self.affine((x - mean) / self.root(variance))


@wrong(BatchNorm2d)
class LayerNormAxes(_OtherAxes):
    """the axes are those of layer norm: each image is normalised over its channels too"""

    axes = (1, 2, 3)


@wrong(BatchNorm2d)
class InstanceNormAxes(_OtherAxes):
    """the axes are those of instance norm: each image is normalised by itself"""

    axes = (2, 3)


@wrong(BatchNorm2d)
class BatchAxisOnly(_OtherAxes):
    """every pixel is normalised by itself: the mean is taken over the images only"""

    axes = (0,)


@wrong(BatchNorm2d)
class AllAxes(_OtherAxes):
    """all channels are normalised together: one mean and one variance for everything"""

    axes = (0, 1, 2, 3)


@wrong(BatchNorm2d)
class NoCounter(_Layer):
    """there is no num_batches_tracked: torch's state_dict has it"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)
        del self.num_batches_tracked

    def keep(self, mean, variance):
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)


@wrong(BatchNorm2d)
class CounterStands(_Layer):
    """num_batches_tracked does not count"""

    def keep(self, mean, variance):
        super().keep(mean, variance)
        self.num_batches_tracked.zero_()


@wrong(BatchNorm2d)
class WeightStartsAtZero(_Layer):
    """weight begins with zeros: a fresh layer gives nothing"""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)
        nn.init.zeros_(self.weight)


@wrong(BatchNorm2d)
class InPlace(_Layer):
    """x is changed in place"""

    def forward(self, x):
        result = super().forward(x)
        if not x.requires_grad:
            x.copy_(result.detach())
        return result


@wrong(BatchNorm2d)
class OtherChannelsAccepted(_Layer):
    """other channels are not refused: a single one spreads over all by broadcasting"""

    def check(self, x):
        if x.dim() != 4 or (self.training and x[:, 0].numel() < 2):
            raise ValueError(f"x is {tuple(x.shape)}")

    def measure(self, x):
        return tuple(part.expand(self.num_features) for part in super().measure(x))


@wrong(BatchNorm2d)
class OneValueAccepted(_Layer):
    """one value a channel is not refused in training: it has no variance"""

    def check(self, x):
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError(f"x is {tuple(x.shape)}")

    def to_remember(self, variance, count):
        return variance * count / max(count - 1, 1)


@wrong(BatchNorm2d)
class OneImageRefused(_Layer):
    """one image is refused in training, though it has many values a channel"""

    def check(self, x):
        super().check(x)
        if self.training and len(x) == 1:
            raise ValueError("a batch needs more than one image")


@wrong(BatchNorm2d)
class OneValueRefusedInEval(_Layer):
    """one value a channel is refused in eval too, where nothing is measured"""

    def check(self, x):
        super().check(x)
        if x[:, 0].numel() < 2:
            raise ValueError("one value a channel")


@wrong(BatchNorm2d)
class OtherAxesAccepted(_Layer):
    """x without four axes is not refused"""

    def check(self, x):
        if x.dim() == 4:
            super().check(x)

    def forward(self, x):
        if x.dim() == 4:
            return super().forward(x)
        return super().forward(x.reshape(-1, self.num_features, 1, 1)).reshape(x.shape)
