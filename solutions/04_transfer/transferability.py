"""How alike do two networks see? One number for two sets of features, one for every layer."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dojo import right, wrong


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Compare two sets of features of the same images: how alike do they arrange them?

    Features cannot be compared one by one: networks number them as they like, and need not
    have equally many. What can be compared is which images each network finds alike. Centred
    first, so that every feature's mean over the images is 0, a set of features makes a table
    of dot products: every image with every image. Linear CKA is the cosine between the two
    tables, each taken as one long vector. It is 1 where they differ by a factor only, and
    0 where nothing that one sees is of use to the other.

    Shapes:
        x: (N, F), y: (N, G), row n of both belongs to image n; float32 or float64 (all of
            whose digits count)
        returns: a plain float, from 0 to 1 but for rounding

    Example:
        >>> x, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [3.0], [3.0]])
        >>> round(linear_cka(x, y), 4)
        0.75

    Raises:
        ValueError: x and y have different N; all rows of x are equal, or all of y, as they
            also are where N is 1: features that never change have no direction.

    Source: Kornblith, Norouzi, Lee & Hinton, Similarity of neural network representations
        revisited, arXiv:1905.00414, section 3.
    """
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} rows, y has {len(y)}: they must be the same images")
    for name, features in (("x", x), ("y", y)):
        if (features == features[:1]).all():
            raise ValueError(f"all {len(features)} rows of {name} are equal: nothing varies")
    x, y = (features.double() - features.double().mean(0) for features in (x, y))
    x, y = x @ x.T, y @ y.T  # (N, N), every image with every image
    return float((x * y).sum() / (x.norm() * y.norm()))


def transfer_profile(
    model_a: nn.Module, model_b: nn.Module, x: Tensor, layers: Sequence[str]
) -> list[float]:
    """Compare two networks layer by layer: the CKA of what both make of the same images.

    Early layers of networks tend to agree, whatever they were trained for; late ones are of
    their own task. Where the numbers fall, transfer ends. Both networks run in eval mode. An
    image's output at a layer, channels and places, is one row of features: as the layer
    returned it, also where the next one goes on in place.

    Both come back as they were, also after an exception: each submodule's own mode, statistics,
    weights, .grad and hooks. Autograd stays as the caller had it.

    Shapes:
        x: (N, ...), images that both models take
        layers: dotted names of submodules, as "layer1.0.conv2", of both models; what they
            return has N in front, the rest may differ between the models
        returns: a list of plain floats, one a name and in the order of the names

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        >>> [round(cka, 4) for cka in transfer_profile(net, net, torch.eye(4), ["0", "1"])]
        [1.0, 1.0]

    Raises:
        ValueError: a name is no submodule of one of the models; a layer's outputs are the
            same for all images.

    Source: Kornblith et al., as above, section 6; Yosinski et al., How transferable are
        features in deep neural networks?, arXiv:1411.1792.
    """
    a, b = (_outputs(model, x, layers) for model in (model_a, model_b))
    return [linear_cka(a[name].flatten(1), b[name].flatten(1)) for name in layers]


def _outputs(model: nn.Module, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """What the named layers return while the model runs in eval mode."""
    found, hooks = {}, []
    modes = [(module, module.training) for module in model.modules()]
    try:
        for name in layers:
            hooks.append(_layer(model, name).register_forward_hook(_keeper(found, name)))
        model.eval()
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return found


def _keeper(found: dict[str, Tensor], name: str):
    def keep(module, args, output):
        found[name] = output.clone()  # the layer after it may work in place

    return keep


def _layer(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        names = ", ".join(n for n, _ in model.named_modules() if n)
        raise ValueError(f"'{name}' is no layer of the model; it has {names}") from None


HINTS = [
    "Turn all features by the same rotation, or double them: which dot products between images "
    "change, and how? What would a constant that is added to a feature do to them, and how do "
    "you get rid of it? For the profile: how can you read what a layer inside a network returns?",
    "Subtract the mean over the images (axis 0) from both. x @ x.T is the table of x, (N, N); the "
    "cosine of two tables is the sum of their products cell by cell over the product of their "
    "norms. A forward hook on a submodule sees its output; remove it in a finally block.",
    "K = xc @ xc.T, L = yc @ yc.T, float((K * L).sum() / (K.norm() * L.norm())). For the profile "
    "keep m.training of all m in model.modules(), put a register_forward_hook on "
    "model.get_submodule(name) (which raises AttributeError), run under eval and no_grad, put "
    "all back in finally, then compare the outputs after .flatten(1).",
]


def _checked(x, y):
    """Both centred, in float64."""
    if len(x) != len(y) or any(bool((f == f[:1]).all()) for f in (x, y)):
        raise ValueError("different N, or features that do not vary")
    return x.double() - x.double().mean(0), y.double() - y.double().mean(0)


def _cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def _tables(x, y):
    return x @ x.T, y @ y.T


@right(linear_cka)
def by_features(x, y):
    """Tables of features with features say the same, and are small for many images."""
    _checked(x, y)
    x, y = x - x.mean(0, keepdim=True), y - y.mean(0, keepdim=True)
    shared = torch.linalg.matrix_norm(y.T @ x) ** 2
    return (shared / torch.linalg.matrix_norm(x.T @ x) / torch.linalg.matrix_norm(y.T @ y)).item()


@right(linear_cka)
def by_centred_tables(x, y):
    """The tables are centred, not the features: HSIC as it is written in the paper."""
    _checked(x, y)
    count = len(x)
    centre = torch.eye(count, dtype=x.dtype) - 1 / count

    def hsic(k, m):
        return torch.trace(k @ centre @ m @ centre) / (count - 1) ** 2

    k, m = _tables(x, y)
    return float(hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt())


@right(linear_cka)
def by_singular_values(x, y):
    """Weighted squares of the cosines between principal directions."""
    x, y = _checked(x, y)
    (u, s, _), (v, t, _) = (torch.linalg.svd(f, full_matrices=False) for f in (x, y))
    s, t = s**2, t**2
    return float(s @ (u.T @ v) ** 2 @ t / (s.norm() * t.norm()))


@right(linear_cka)
def by_columns(x, y):
    """The weighted mean of squared covariances between single features."""
    x, y = _checked(x, y)

    def shared(p, q):
        return sum(float(column @ other) ** 2 for column in p.T for other in q.T)

    return shared(x, y) / (shared(x, x) * shared(y, y)) ** 0.5


@right(transfer_profile)
def by_copies(model_a, model_b, x, layers):
    """The hooks are put on copies, so that nothing has to be put back."""
    found = []
    for model in (model_a, model_b):
        model = copy.deepcopy(model).eval().requires_grad_(False)
        modules = dict(model.named_modules(remove_duplicate=False))
        if set(layers) - set(modules):
            raise ValueError(f"unknown layers {set(layers) - set(modules)}")
        outputs = {}
        for name in layers:
            modules[name].register_forward_hook(
                lambda module, args, output, name=name, outputs=outputs: outputs.update(
                    {name: output.reshape(len(output), -1) * 1}
                )
            )
        model(x)
        found.append(outputs)
    return [linear_cka(found[0][name], found[1][name]) for name in layers]


@right(transfer_profile)
def one_layer_at_a_time(model_a, model_b, x, layers):
    """Runs both networks anew for every layer."""
    if not all(isinstance(n, str) for n in layers):
        raise ValueError("names are wanted")
    profile = []
    for name in layers:
        a, b = (_outputs(model, x, [name])[name].double() for model in (model_a, model_b))
        profile.append(linear_cka(a.reshape(len(x), -1), b.reshape(len(x), -1)))
    return profile


@wrong(linear_cka)
def not_centred(x, y):
    """the features are not centred: what all images share makes everything alike"""
    _checked(x, y)
    return _cosine(*_tables(x.double(), y.double()))


@wrong(linear_cka)
def only_x_centred(x, y):
    """only x is centred, y is not"""
    return _cosine(*_tables(_checked(x, y)[0], y.double()))


@wrong(linear_cka)
def only_y_centred(x, y):
    """only y is centred, x is not"""
    return _cosine(*_tables(x.double(), _checked(x, y)[1]))


@wrong(linear_cka)
def rows_centred(x, y):
    """each image's row is centred (mean over its features), not each feature over the images"""
    _checked(x, y)
    x, y = (f.double() - f.double().mean(1, keepdim=True) for f in (x, y))
    return _cosine(*_tables(x, y))


@wrong(linear_cka)
def images_as_columns(x, y):
    """columns are taken for images and rows for features: the tables are (F, F) and (G, G)"""
    _checked(x, y)
    x, y = (f.double() - f.double().mean(1, keepdim=True) for f in (x, y))
    return _cosine(*_tables(x.T, y.T))


@wrong(linear_cka)
def one_mean_for_all(x, y):
    """one mean of all numbers is subtracted, not the mean of each feature"""
    _checked(x, y)
    return _cosine(*_tables(x.double() - x.double().mean(), y.double() - y.double().mean()))


@wrong(linear_cka)
def tables_less_their_mean(x, y):
    """the tables lose their overall mean: that does not centre the features"""
    _checked(x, y)
    k, m = _tables(x.double(), y.double())
    return _cosine(k - k.mean(), m - m.mean())


@wrong(linear_cka)
def not_normalised(x, y):
    """the overlap is not divided by the sizes of both tables: the features' scale counts"""
    k, m = _tables(*_checked(x, y))
    return float((k * m).sum())


@wrong(linear_cka)
def divided_by_count(x, y):
    """the overlap is divided by (N - 1)^2 (HSIC), not by the sizes of both tables"""
    k, m = _tables(*_checked(x, y))
    return float((k * m).sum() / (len(x) - 1) ** 2)


@wrong(linear_cka)
def norms_added(x, y):
    """the overlap is divided by the sum of the tables' norms, not by their product"""
    k, m = _tables(*_checked(x, y))
    return float((k * m).sum() / (k.norm() + m.norm()))


@wrong(linear_cka)
def norms_squared(x, y):
    """the norms in the denominator are squared: their root is missing"""
    k, m = _tables(*_checked(x, y))
    return float((k * m).sum() / (k.norm() * m.norm()) ** 2)


@wrong(linear_cka)
def divided_by_features(x, y):
    """the norms of the features stand in the denominator, not those of the tables"""
    x, y = _checked(x, y)
    k, m = _tables(x, y)
    return float((k * m).sum() / (x.norm() * y.norm()) ** 2)


@wrong(linear_cka)
def root_taken(x, y):
    """the root of CKA is returned"""
    return linear_cka(x, y) ** 0.5


@wrong(linear_cka)
def overlap_not_squared(x, y):
    """the norm of x.T @ y is not squared, while those below it count twice"""
    x, y = _checked(x, y)
    return float((x.T @ y).norm() / ((x.T @ x).norm() * (y.T @ y).norm()))


@wrong(linear_cka)
def distance(x, y):
    """1 - CKA is returned: a distance, 0 for equal features"""
    return 1 - linear_cka(x, y)


@wrong(linear_cka)
def flattened_correlation(x, y):
    """the features themselves are correlated, number by number (cut to equally many)"""
    x, y = _checked(x, y)
    least = min(x.shape[1], y.shape[1])
    return _cosine(x[:, :least], y[:, :least])


@wrong(linear_cka)
def flattened_correlation_squared(x, y):
    """the squared correlation of the features, number by number (cut to equally many)"""
    return flattened_correlation(x, y) ** 2


@wrong(linear_cka)
def trace_not_sum(x, y):
    """only the diagonals of the tables are compared: how long each row is, not who is alike"""
    k, m = _tables(*_checked(x, y))
    return _cosine(k.diag(), m.diag())


@wrong(linear_cka)
def whitened(x, y):
    """the features are decorrelated first (CCA): any linear map of them looks the same"""
    x, y = _checked(x, y)
    u, v = (_basis(f) for f in (x, y))
    return float((u.T @ v).square().sum() / (u.shape[1] * v.shape[1]) ** 0.5)


def _basis(x):
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    return u[:, s > 1e-9 * s[0]]


@wrong(linear_cka)
def columns_standardised(x, y):
    """each feature is also divided by its standard deviation: loud and quiet ones count alike"""
    x, y = (f / f.std(0).clamp_min(1e-12) for f in _checked(x, y))
    return _cosine(*_tables(x, y))


@wrong(linear_cka)
def rows_normalised(x, y):
    """each image's row is scaled to length 1: the tables hold cosines, not dot products"""
    x, y = (f / f.norm(dim=1, keepdim=True).clamp_min(1e-12) for f in _checked(x, y))
    return _cosine(*_tables(x, y))


@wrong(linear_cka)
def debiased(x, y):
    """the diagonals are left out of the tables: that is another estimator (debiased CKA)"""
    tables = []
    for table in _tables(*_checked(x, y)):
        tables.append(table - table.diag().diag())
    return _cosine(*tables)


@wrong(linear_cka)
def one_more_in_the_denominator(x, y):
    """a small constant (epsilon) in the denominator: weak features look less alike"""
    k, m = _tables(*_checked(x, y))
    return float((k * m).sum() / (k.norm() * m.norm() + 1e-8))


@wrong(linear_cka)
def always_float32(x, y):
    """everything is computed in float32, also for float64 features"""
    _checked(x, y)
    x, y = x.float() - x.float().mean(0), y.float() - y.float().mean(0)
    return _cosine(*_tables(x, y))


@wrong(linear_cka)
def a_tensor(x, y):
    """a tensor is returned, not a plain float"""
    return torch.tensor(linear_cka(x, y))


@wrong(linear_cka)
def centred_in_place(x, y):
    """the features are centred in place: the caller's change"""
    _checked(x, y)
    x -= x.mean(0)
    y -= y.mean(0)
    return linear_cka(x, y)


@wrong(linear_cka)
def constants_give_nan(x, y):
    """features that never change are not refused: 0 / 0 is NaN"""
    if len(x) != len(y):
        raise ValueError("different N")
    x, y = (f.double() - f.double().mean(0) for f in (x, y))
    return _cosine(*_tables(x, y))


@wrong(linear_cka)
def constants_give_zero(x, y):
    """features that never change give 0 instead of being refused"""
    if len(x) != len(y):
        raise ValueError("different N")
    if any(bool((f == f[:1]).all()) for f in (x, y)):
        return 0.0
    return linear_cka(x, y)


@wrong(linear_cka)
def only_zeros_refused(x, y):
    """only features that are all 0 are refused, not all that never change"""
    if len(x) != len(y) or not x.any() or not y.any():
        raise ValueError("different N, or zeros")
    return constants_give_nan(x, y)


@wrong(linear_cka)
def exact_zero_after_centring(x, y):
    """features that never change are told by exact zeros after centring: rounding leaves a rest"""
    if len(x) != len(y) or any(not bool((f - f.mean(0)).any()) for f in (x, y)):
        raise ValueError("different N, or nothing varies")
    return constants_give_nan(x, y)


@wrong(linear_cka)
def weak_ones_refused(x, y):
    """features that vary by less than a fixed amount are taken for ones that never change"""
    if len(x) != len(y) or any(bool((f - f[:1]).abs().max() < 1e-4) for f in (x, y)):
        raise ValueError("different N, or nothing varies")
    return linear_cka(x, y)


@wrong(linear_cka)
def only_constant_x_refused(x, y):
    """features that never change are refused in x, but not in y"""
    if (x == x[:1]).all():
        raise ValueError("x does not vary")
    return constants_give_nan(x, y)


@wrong(linear_cka)
def only_constant_y_refused(x, y):
    """features that never change are refused in y, but not in x"""
    if (y == y[:1]).all():
        raise ValueError("y does not vary")
    return constants_give_nan(x, y)


@wrong(linear_cka)
def one_constant_feature_refused(x, y):
    """a single feature that never changes is refused, though others do"""
    _checked(x, y)
    if any(bool((f == f[:1]).all(0).any()) for f in (x, y)):
        raise ValueError("a feature does not vary")
    return linear_cka(x, y)


@wrong(linear_cka)
def rows_cut_to_fit(x, y):
    """where N differs the longer one is cut instead of refused"""
    least = min(len(x), len(y))
    return linear_cka(x[:least], y[:least])


@wrong(linear_cka)
def torchs_own_error(x, y):
    """different N is left to torch, which raises a RuntimeError of its own"""
    if len(x) != len(y):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    return linear_cka(x, y)


@wrong(linear_cka)
def equal_widths_only(x, y):
    """different numbers of features are refused: F and G need not be equal"""
    if x.shape != y.shape:
        raise ValueError("shapes differ")
    return linear_cka(x, y)


def _profile(model_a, model_b, x, layers, outputs=_outputs, flat=lambda t: t.flatten(1)):
    a, b = (outputs(model, x, layers) for model in (model_a, model_b))
    return [linear_cka(flat(a[name]), flat(b[name])) for name in layers]


def _hooked(model, x, layers, eval_mode=True, leave=(), see=lambda args, output: output * 1):
    """As _outputs; `leave` says what is not put back, `see` what is kept of a call."""
    found, hooks = {}, []
    modes = [(module, module.training) for module in model.modules()]
    parts = [(name, _layer(model, name)) for name in layers]  # an unknown one leaves no trace
    try:
        for name, part in parts:
            hooks.append(
                part.register_forward_hook(
                    lambda m, args, output, name=name: found.update({name: see(args, output)})
                )
            )
        if eval_mode:
            model.eval()
        with torch.no_grad():
            model(x)
        if "hooks on success" in leave:
            hooks = []
        if "modes on success" in leave:
            modes = []
    except BaseException:
        hooks, modes = ([] if n in leave else v for n, v in (("hooks", hooks), ("modes", modes)))
        raise
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return found


@wrong(transfer_profile)
def in_train_mode(model_a, model_b, x, layers):
    """the models run in the mode that they come in: dropout and batch statistics take part"""
    outputs = lambda *args: _hooked(*args, eval_mode=False)  # noqa: E731
    return _profile(model_a, model_b, x, layers, outputs)


@wrong(transfer_profile)
def kept_without_a_copy(model_a, model_b, x, layers):
    """outputs are kept without a copy: the next layer, if it works in place, changes them"""
    see = lambda args, output: output  # noqa: E731
    return _profile(model_a, model_b, x, layers, lambda *a: _hooked(*a, see=see))


@wrong(transfer_profile)
def only_the_first_in_eval(model_a, model_b, x, layers):
    """only model_a is put into eval mode"""
    a, b = _outputs(model_a, x, layers), _hooked(model_b, x, layers, eval_mode=False)
    return [linear_cka(a[name].flatten(1), b[name].flatten(1)) for name in layers]


@wrong(transfer_profile)
def modes_read_too_late(model_a, model_b, x, layers):
    """model_b's modes are read when model_a is in eval already: bad if they share layers"""
    before = [(module, module.training) for module in model_a.modules()]
    model_a.eval()
    late = [(module, module.training) for module in model_b.modules()]
    try:
        return transfer_profile(model_a, model_b, x, layers)
    finally:
        for module, training in before + late:
            module.training = training


@wrong(transfer_profile)
def left_in_eval(model_a, model_b, x, layers):
    """the models are left in eval mode"""
    leave = ("modes", "modes on success")
    return _profile(model_a, model_b, x, layers, lambda *a: _hooked(*a, leave=leave))


@wrong(transfer_profile)
def only_the_root_put_back(model_a, model_b, x, layers):
    """only the model's own mode is put back: its submodules stay in eval"""
    modes = [(model, model.training) for model in (model_a, model_b)]
    try:
        return left_in_eval(model_a, model_b, x, layers)
    finally:
        for model, training in modes:
            model.training = training


@wrong(transfer_profile)
def back_into_train(model_a, model_b, x, layers):
    """the models are put into train mode at the end, whatever mode they were in"""
    try:
        return transfer_profile(model_a, model_b, x, layers)
    finally:
        model_a.train()
        model_b.train()


@wrong(transfer_profile)
def one_mode_for_all(model_a, model_b, x, layers):
    """the model's own mode is put back on all its submodules: some had another"""
    try:
        return transfer_profile(model_a, model_b, x, layers)
    finally:
        for model in (model_a, model_b):
            model.train(model.training)


@wrong(transfer_profile)
def modes_lost_by_an_exception(model_a, model_b, x, layers):
    """the modes are not put back when the model raises: no finally"""
    return _profile(model_a, model_b, x, layers, lambda *a: _hooked(*a, leave=("modes",)))


@wrong(transfer_profile)
def nothing_put_back_after_an_exception(model_a, model_b, x, layers):
    """neither hooks nor modes are put back when the model raises: no finally"""
    return _profile(model_a, model_b, x, layers, lambda *a: _hooked(*a, leave=("modes", "hooks")))


@wrong(transfer_profile)
def hooks_left(model_a, model_b, x, layers):
    """the hooks are never removed"""
    leave = ("hooks", "hooks on success")
    return _profile(model_a, model_b, x, layers, lambda *a: _hooked(*a, leave=leave))


@wrong(transfer_profile)
def hooks_left_by_an_exception(model_a, model_b, x, layers):
    """the hooks are not removed when the model raises: no finally"""
    return _profile(model_a, model_b, x, layers, lambda *a: _hooked(*a, leave=("hooks",)))


@wrong(transfer_profile)
def hooks_left_at_an_unknown_name(model_a, model_b, x, layers):
    """an unknown name leaves hooks on the layers before it: they are put on outside the try"""
    known = dict(model_a.named_modules())
    for name in layers:
        if not all(n in known for n in layers) and name in known:
            known[name].register_forward_hook(lambda *args: None)
    return transfer_profile(model_a, model_b, x, layers)


@wrong(transfer_profile)
def autograd_switched_off(model_a, model_b, x, layers):
    """autograd is switched off and stays off for the caller"""
    torch.set_grad_enabled(False)
    return transfer_profile(model_a, model_b, x, layers)


@wrong(transfer_profile)
def in_the_networks_order(model_a, model_b, x, layers):
    """the numbers come in the order in which the network runs, not in that of the names"""
    found = _outputs(model_a, x, layers)  # a dict keeps the order in which the hooks ran
    profile = dict(zip(layers, transfer_profile(model_a, model_b, x, layers), strict=True))
    return [profile[name] for name in found]


@wrong(transfer_profile)
def sorted_by_name(model_a, model_b, x, layers):
    """the names are sorted first: the numbers do not come in their order"""
    return transfer_profile(model_a, model_b, x, sorted(layers))


@wrong(transfer_profile)
def inputs_compared(model_a, model_b, x, layers):
    """what goes into each layer is compared, not what comes out"""
    see = lambda args, output: args[0] * 1  # noqa: E731
    return _profile(model_a, model_b, x, layers, lambda *a: _hooked(*a, see=see))


@wrong(transfer_profile)
def one_model_twice(model_a, model_b, x, layers):
    """model_a is compared with itself: model_b is never asked"""
    _outputs(model_b, x, layers)
    return transfer_profile(model_a, model_a, x, layers)


@wrong(transfer_profile)
def averaged_over_places(model_a, model_b, x, layers):
    """maps are averaged over their places before they are compared"""
    flat = lambda t: t.flatten(2).mean(2) if t.dim() > 2 else t  # noqa: E731
    return _profile(model_a, model_b, x, layers, flat=flat)


@wrong(transfer_profile)
def places_as_images(model_a, model_b, x, layers):
    """every place of a map counts as an image of its own: rows are places, not images"""
    flat = lambda t: t.movedim(1, -1).flatten(0, -2)  # noqa: E731
    return _profile(model_a, model_b, x, layers, flat=flat)


@wrong(transfer_profile)
def first_channel_only(model_a, model_b, x, layers):
    """only the first channel of a map is compared"""
    flat = lambda t: t[:, 0].flatten(1) if t.dim() > 2 else t  # noqa: E731
    return _profile(model_a, model_b, x, layers, flat=flat)


@wrong(transfer_profile)
def top_level_only(model_a, model_b, x, layers):
    """only the model's direct children are found: dotted names are refused"""
    if any("." in name for name in layers):
        raise ValueError("unknown layer")
    return transfer_profile(model_a, model_b, x, layers)


@wrong(transfer_profile)
def unknown_skipped(model_a, model_b, x, layers):
    """names that are no layers are skipped instead of refused"""
    known = [dict(model.named_modules()) for model in (model_a, model_b)]
    known = [name for name in layers if name in known[0] and name in known[1]]
    return transfer_profile(model_a, model_b, x, known)


@wrong(transfer_profile)
def unknown_attribute_error(model_a, model_b, x, layers):
    """an unknown name gives torch's AttributeError, not a ValueError"""
    for model in (model_a, model_b):
        for name in layers:
            model.get_submodule(name)
    return transfer_profile(model_a, model_b, x, layers)


@wrong(transfer_profile)
def unknown_key_error(model_a, model_b, x, layers):
    """an unknown name gives a KeyError, not a ValueError"""
    for model in (model_a, model_b):
        for name in layers:
            dict(model.named_modules())[name]
    return transfer_profile(model_a, model_b, x, layers)


@wrong(transfer_profile)
def a_tuple(model_a, model_b, x, layers):
    """a tuple is returned, not a list"""
    return tuple(transfer_profile(model_a, model_b, x, layers))


@wrong(transfer_profile)
def a_dict(model_a, model_b, x, layers):
    """a dict by name is returned, not a list"""
    return dict(zip(layers, transfer_profile(model_a, model_b, x, layers), strict=True))


@wrong(transfer_profile)
def list_of_tensors(model_a, model_b, x, layers):
    """the list holds tensors, not plain floats"""
    return [torch.tensor(cka) for cka in transfer_profile(model_a, model_b, x, layers)]


def show(answer):
    """A network that reads digits against three others: the later the layer, the more the task
    counts."""
    import numpy as np
    from matplotlib.figure import Figure

    from data import digits

    images, labels = map(torch.from_numpy, digits())
    images = images[:, :, 2:26:3, 2:26:3]  # every pixel stands there three times
    first = _trained(images[:1200], labels[:1200], classes=10, seed=0)
    others = {
        "the same task, another start": _trained(images[:1200], labels[:1200], classes=10, seed=1),
        "another task: odd or even?": _trained(images[:1200], labels[:1200] % 2, 2, seed=2),
        "not trained at all": _trained(images[:0], labels[:0], classes=10, seed=3),
    }
    layers = {"2": "conv 1", "5": "conv 2", "8": "conv 3", "11": "conv 4", "14": "logits"}
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.subplots()
    for (title, other), marker in zip(others.items(), "os^", strict=True):
        profile = answer.transfer_profile(first, other, images[1200:1500], list(layers))
        axis.plot(np.array(profile, float), marker=marker, label=title)
    axis.set_xticks(range(len(layers)), layers.values())
    axis.set(ylim=(0, 1.03), ylabel="linear CKA on 300 new images")
    axis.set_title("How alike does a reader of digits see to ...", fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    return figure


def _trained(images, labels, classes, seed):
    """Four convolutions and a head, trained for a few seconds."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers, channels = [], 1
        for _ in range(4):
            layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
            channels = 16
        head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, classes)]
        model = nn.Sequential(*layers, *head)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(4):
            for batch in torch.randperm(len(images)).split(50):
                optimizer.zero_grad()
                if len(batch):
                    nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                    optimizer.step()
    return model.eval()
