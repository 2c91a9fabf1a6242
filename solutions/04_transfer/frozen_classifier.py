"""A frozen backbone and a head that learns, in one module that cannot be woken by accident."""

import torch
from torch import Tensor, nn

from dojo import right, wrong


class FrozenBackboneClassifier(nn.Module):
    """Put a new linear head on a backbone that stays exactly as it is.

    The backbone gives features; one dense layer of them gives the logits, and only that layer
    learns. The backbone is taken over as it is handed in, not copied, and part of the module:
    to() moves it, state_dict() holds it. It is frozen for good: none of its parameters requires
    a gradient, it always runs in eval, each submodule of it, also after train() was called on
    the classifier, so that no statistic drifts and no dropout drops. train() and eval() reach
    the head as ever. No graph is built through the backbone: nothing flows back into it, nor
    through it into the image.

    Shapes:
        backbone: takes (N, ...) and gives (N, num_features)
        returns: logits (N, num_classes), differentiable in the head's parameters only

    Example:
        >>> classifier = FrozenBackboneClassifier(nn.Flatten(), num_features=4, num_classes=3)
        >>> [tuple(p.shape) for p in classifier.parameters() if p.requires_grad]
        [(3, 4), (3,)]

    Source: Donahue et al., DeCAF: A Deep Convolutional Activation Feature for Generic Visual
        Recognition, arXiv:1310.1531.
    """

    def __init__(self, backbone: nn.Module, num_features: int, num_classes: int):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.head = nn.Linear(num_features, num_classes)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


HINTS = [
    "A batch norm learns in two ways: by its parameters and by its running statistics. Which of "
    "the two does requires_grad stop? Who calls train() on the backbone?",
    "requires_grad_(False) for the parameters; for the modes override train(): let nn.Module do "
    "its work, then put the backbone back into eval, and return self. In forward, no_grad goes "
    "around the backbone alone.",
    "__init__: self.backbone = backbone.requires_grad_(False).eval(), self.head = nn.Linear(...). "
    "train(self, mode=True): super().train(mode); self.backbone.eval(); return self. forward: "
    "with torch.no_grad(): features = self.backbone(x); return self.head(features).",
]


@right(FrozenBackboneClassifier)
class ByDetaching(nn.Module):
    """Other names; the frozen parameters cut the graph at x, detach() at the features."""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__()
        self.classify = nn.Linear(num_features, num_classes)
        for parameter in backbone.parameters():
            parameter.requires_grad = False
        self.body = backbone
        self.train(self.training)

    def train(self, mode=True):
        self.training = mode
        self.classify.train(mode)
        for module in self.body.modules():
            module.training = False
        return self

    def forward(self, x):
        return self.classify(self.body(x.detach()).detach())


@right(FrozenBackboneClassifier)
class EvalInForward(nn.Sequential):
    """A chain that puts its first part into eval whenever it is used or set."""

    def __init__(self, backbone, num_features, num_classes):
        backbone.eval()
        for parameter in backbone.parameters():
            parameter.requires_grad_(False)
        super().__init__(backbone, nn.Linear(num_features, num_classes))

    def train(self, mode=True):
        super().train(mode)
        self[0].train(False)
        return self

    def forward(self, x):
        self[0].eval()
        with torch.inference_mode(False), torch.no_grad():
            features = self[0](x).clone()
        return self[1](features)


@right(FrozenBackboneClassifier)
class ByParameters(nn.Module):
    """The head's weight and bias as parameters of the module itself."""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__()
        self.add_module("backbone", backbone)
        backbone.requires_grad_(False)
        layer = nn.Linear(num_features, num_classes)
        self.weight, self.bias = layer.weight, layer.bias
        self.eval().train()

    def train(self, mode=True):
        self.training = mode
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.set_grad_enabled(False):
            features = self.backbone(x)
        return features @ self.weight.T + self.bias


class _Classifier(nn.Module):
    """The answer; variants change one part."""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.head = nn.Linear(num_features, num_classes)

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, x):
        with torch.no_grad():
            return self.backbone(x)

    def forward(self, x):
        return self.head(self.features(x))


@wrong(FrozenBackboneClassifier)
class WokenByTrain(_Classifier):
    """train() wakes the backbone: its statistics drift and its dropout drops"""

    def train(self, mode=True):
        return nn.Module.train(self, mode)


@wrong(FrozenBackboneClassifier)
class TopLevelOnly(_Classifier):
    """only the backbone's own mode is put back, not that of its submodules"""

    def train(self, mode=True):
        nn.Module.train(self, mode)
        self.backbone.training = False
        return self


@wrong(FrozenBackboneClassifier)
class NormsOnly(_Classifier):
    """only batch norms are put back into eval: dropouts are woken"""

    def train(self, mode=True):
        nn.Module.train(self, mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@wrong(FrozenBackboneClassifier)
class NeverTrains(_Classifier):
    """train() does nothing at all: the head and the classifier stay in their mode"""

    def train(self, mode=True):
        return self


@wrong(FrozenBackboneClassifier)
class TrainGivesNothing(_Classifier):
    """train() does not return the module, as nn.Module's does"""

    def train(self, mode=True):
        super().train(mode)


@wrong(FrozenBackboneClassifier)
class ModeAtFirst(_Classifier):
    """a backbone that is handed in awake stays so until train() or eval() is called"""

    def __init__(self, backbone, num_features, num_classes):
        modes = [(module, module.training) for module in backbone.modules()]
        super().__init__(backbone, num_features, num_classes)
        for module, mode in modes:
            module.training = mode


@wrong(FrozenBackboneClassifier)
class NotFrozen(_Classifier):
    """the backbone's parameters require a gradient: requires_grad set on a module freezes none"""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__(backbone, num_features, num_classes)
        self.backbone.requires_grad_(True)


@wrong(FrozenBackboneClassifier)
class HeadFrozenToo(_Classifier):
    """the head is frozen with the backbone: nothing learns"""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__(backbone, num_features, num_classes)
        self.requires_grad_(False)


@wrong(FrozenBackboneClassifier)
class NoGradAroundAll(_Classifier):
    """no_grad stands around the head too: it cannot learn"""

    def forward(self, x):
        with torch.no_grad():
            return self.head(self.backbone(x))


@wrong(FrozenBackboneClassifier)
class GraphThroughTheBackbone(_Classifier):
    """a graph is built through the backbone: gradients flow into the image"""

    def features(self, x):
        return self.backbone(x)


@wrong(FrozenBackboneClassifier)
class Unregistered(_Classifier):
    """the backbone is hidden in a list: to() and state_dict() do not reach it"""

    def __init__(self, backbone, num_features, num_classes):
        nn.Module.__init__(self)
        self.hidden = [backbone.requires_grad_(False).eval()]
        self.head = nn.Linear(num_features, num_classes)

    def train(self, mode=True):
        return nn.Module.train(self, mode)

    def features(self, x):
        with torch.no_grad():
            return self.hidden[0].eval()(x)


@wrong(FrozenBackboneClassifier)
class Copied(_Classifier):
    """the backbone is copied, not taken over"""

    def __init__(self, backbone, num_features, num_classes):
        import copy

        super().__init__(copy.deepcopy(backbone), num_features, num_classes)


@wrong(FrozenBackboneClassifier)
class SoftmaxAtTheEnd(_Classifier):
    """it ends in a softmax: probabilities, not logits"""

    def forward(self, x):
        return super().forward(x).softmax(1)


@wrong(FrozenBackboneClassifier)
class ReluOnFeatures(_Classifier):
    """the features are changed (ReLU) before the head"""

    def features(self, x):
        return super().features(x).relu()


@wrong(FrozenBackboneClassifier)
class TwoLayers(_Classifier):
    """the head has two layers, not one"""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__(backbone, num_features, num_classes)
        hidden = nn.Linear(num_features, num_features)
        self.head = nn.Sequential(hidden, nn.ReLU(), nn.Linear(num_features, num_classes))


@wrong(FrozenBackboneClassifier)
class WithoutBias(_Classifier):
    """the head has no bias"""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__(backbone, num_features, num_classes)
        self.head = nn.Linear(num_features, num_classes, bias=False)


@wrong(FrozenBackboneClassifier)
class Initialised(_Classifier):
    """the backbone's weights are set anew: what it had learnt is lost"""

    def __init__(self, backbone, num_features, num_classes):
        super().__init__(backbone, num_features, num_classes)
        for module in backbone.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()


@wrong(FrozenBackboneClassifier)
class Remembered(_Classifier):
    """the features of the first batch are remembered and used again"""

    def features(self, x):
        if getattr(self, "kept", None) is None or len(self.kept) != len(x):
            self.kept = super().features(x)
        return self.kept


@wrong(FrozenBackboneClassifier)
class GradModeLeftOff(_Classifier):
    """torch's grad mode is switched off and stays off"""

    def forward(self, x):
        torch.set_grad_enabled(False)
        features = self.backbone(x)
        torch.set_grad_enabled(True)
        logits = self.head(features)
        torch.set_grad_enabled(False)
        return logits


def show(answer):
    """How far a backbone's statistics move in ten training steps: kept asleep, and woken."""
    from matplotlib.figure import Figure

    from data import digits

    images, labels = (torch.from_numpy(array) for array in digits())
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for name, made in (("yours", answer.FrozenBackboneClassifier), ("woken", WokenByTrain)):
        torch.default_generator.manual_seed(0)
        backbone = nn.Sequential(nn.Conv2d(1, 8, 5, stride=3), nn.BatchNorm2d(8), nn.Flatten())
        before = backbone[1].running_mean.clone()
        classifier, moved = made(backbone, 512, 10).train(), []
        for step in range(10):
            loss = nn.functional.cross_entropy(
                classifier(images[step * 64 : step * 64 + 64]), labels[step * 64 : step * 64 + 64]
            )
            loss.backward()
            moved.append((backbone[1].running_mean - before).abs().max().item())
        axis.plot(range(1, 11), moved, marker="o", label=name)
    axis.set(xlabel="step", ylabel="how far running_mean has moved")
    axis.legend()
    return figure
