"""How far does a unit see? Once by arithmetic, once by watching what reaches it."""

import copy

import torch
from torch import nn

from dojo import right, wrong


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """Count the input pixels, along one axis, that one unit of the last layer sees.

    A convolution or pooling layer looks at neighbours in the map before it. How far apart
    two neighbours of that map stand in the input is another matter: each stride on the way
    has moved them apart. Away from the border padding changes nothing.

    Shapes:
        layers: pairs (kernel_size, stride) of ints from 1 on, the layer at the input first
        returns: an int, in pixels; 1 where there are no layers, a pixel sees itself

    Example:
        >>> receptive_field([(3, 1), (3, 1)])
        5

    Source: Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural
        Networks, Distill 2019, doi:10.23915/distill.00021.
    """
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump *= stride
    return field


def measured_receptive_field(
    model: nn.Module, in_shape: tuple[int, int, int], unit: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Find the box of input pixels that can reach one unit in channel 0 of the model's output.

    A pixel of any channel reaches the unit if connections lead from one to the other. What
    the weights are does not matter: a weight of 0 connects, so do two paths that cancel, a
    ReLU that is shut at the moment, a cell that is not the largest of its max-pool window.
    The model is looked at in eval mode. Its convolutions, batch norms, ReLUs, max- and
    average-pools are modules; they may be nested and may branch.

    The model comes back as it was, also after an exception: its modules, each one's own
    mode, weights, buffers, requires_grad, .grad and hooks.

    Shapes:
        in_shape: (C, H, W) of one input; the output is (1, F, OH, OW)
        unit: (row, column) in the output map, both from 0 on
        returns: (top, left, bottom, right), a tuple of ints: the first row and column and the
            last row and column that reach the unit. Padding has no pixels.

    Example:
        >>> measured_receptive_field(nn.Conv2d(2, 4, (3, 5)), (2, 6, 9), (1, 0))
        (1, 0, 3, 4)

    Raises:
        ValueError: the unit lies outside of the output map; a negative row or column does.

    Source: Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural
        Networks, Distill 2019, doi:10.23915/distill.00021.
    """
    (row, column), (_, height, width) = unit, in_shape
    # float64, because some float32 convolutions work in tiles, where a NaN would spread
    probe = copy.deepcopy(model).eval().double()
    for parameter in probe.parameters():
        nn.init.ones_(parameter)  # a library may skip a factor 0
    # NaN is a dye: whatever it runs into becomes NaN, sums and maxima alike
    dyed_rows = torch.zeros(height, *in_shape, dtype=torch.float64)
    dyed_rows[range(height), :, range(height)] = torch.nan
    dyed_columns = torch.zeros(width, *in_shape, dtype=torch.float64)
    dyed_columns[range(width), :, :, range(width)] = torch.nan
    with torch.no_grad():
        maps = probe(torch.cat([dyed_rows, dyed_columns]))[:, 0]
    if not (0 <= row < maps.shape[1] and 0 <= column < maps.shape[2]):
        raise ValueError(f"unit {unit} lies outside of the map {tuple(maps.shape[1:])}")
    reached = maps[:, row, column].isnan()
    rows, columns = (part.nonzero().flatten().tolist() for part in reached.split([height, width]))
    return rows[0], columns[0], rows[-1], columns[-1]


HINTS = [
    "Two units stand side by side in the output of a 2x2 pool with stride 2. How many pixels "
    "apart are the pixels they begin with? And what would a trace look like that no weight, no "
    "ReLU and no maximum can wipe out?",
    "Walk from the input on with two numbers: how much one unit sees, and how far apart two "
    "neighbours stand in the input. To measure: on a deep copy in eval mode, either change the "
    "weights and layers until every connection lets something positive through and take the "
    "gradient, or send in something that survives everything.",
    "A layer adds (kernel_size - 1) times the jump, then the jump is multiplied with its stride. "
    "NaN survives: 0 * NaN, NaN - NaN, relu(NaN) and max(NaN, 1) are NaN. Fill row i of input i "
    "with NaN and see which outputs are NaN at the unit; the first and the last such i are top "
    "and bottom. The same with columns.",
]


@right(receptive_field)
def from_the_output_back(layers):
    """How many units of the map before does a stretch of `field` units look at?"""
    field = 1
    for kernel_size, stride in reversed(layers):
        field = (field - 1) * stride + kernel_size
    return field


@right(receptive_field)
def by_products_of_strides(layers):
    strides = torch.tensor([1] + [stride for _, stride in layers]).cumprod(0).tolist()
    return 1 + sum((k - 1) * jump for (k, _), jump in zip(layers, strides, strict=False))


@right(receptive_field)
def by_listing_pixels(layers):
    seen = {0}
    for kernel_size, stride in layers[::-1]:
        seen = {place * stride + i for place in seen for i in range(kernel_size)}
    return max(seen) - min(seen) + 1


def _at(maps, unit):
    """The values of a unit in (N, F, OH, OW)."""
    if not all(0 <= place < size for place, size in zip(unit, maps.shape[2:], strict=True)):
        raise ValueError(f"unit {unit} lies outside of the map {tuple(maps.shape[2:])}")
    return maps[:, :, unit[0], unit[1]]


def _box(reached):
    """The bounds of what is true in a (H, W) tensor."""
    rows = reached.any(1).nonzero().flatten().tolist() or [0]
    columns = reached.any(0).nonzero().flatten().tolist() or [0]
    return rows[0], columns[0], rows[-1], columns[-1]


def _gradient(model, in_shape, unit):
    """How strongly each pixel (H, W) reaches the unit."""
    x = torch.ones(1, *in_shape, dtype=next(model.parameters(), torch.ones(1)).dtype)
    with torch.enable_grad():
        reading = _at(model(x.requires_grad_()), unit)[0, 0]
    return torch.autograd.grad(reading, x)[0][0].abs().sum(0)


def _open(model, relus=True, pools=True, nested=True):
    """Let the gradient through everywhere: no ReLU, the mean instead of the maximum."""
    for name, child in model.named_children():
        if relus and isinstance(child, nn.ReLU):
            setattr(model, name, nn.Identity())
        elif pools and isinstance(child, nn.MaxPool2d):
            setattr(model, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
        elif nested:
            _open(child, relus, pools)
    return model


def _positive(model, but=""):
    for name, parameter in model.named_parameters():
        if not but or but not in name:
            nn.init.constant_(parameter, 0.5)
    return model


def _probe(model):
    return copy.deepcopy(model).double().eval()


@right(measured_receptive_field)
def by_gradient(model, in_shape, unit):
    """On a copy whose weights are positive and whose layers are all linear."""
    return _box(_gradient(_positive(_open(_probe(model))), in_shape, unit) > 0)


@right(measured_receptive_field)
def by_hooks(model, in_shape, unit):
    """On the model itself, all of it put back: the hooks take the place of two layers."""

    def mean_instead(pool, args, output):
        return nn.functional.avg_pool2d(args[0], pool.kernel_size, pool.stride, pool.padding)

    modes = {module: module.training for module in model.modules()}
    weights = {p: p.detach().clone() for p in model.parameters()}
    hooks = []
    try:
        model.eval()
        _positive(model)
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                hooks.append(module.register_forward_hook(lambda module, args, output: args[0]))
            elif isinstance(module, nn.MaxPool2d):
                hooks.append(module.register_forward_hook(mean_instead))
        return _box(_gradient(model, in_shape, unit) > 0)
    finally:
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            for parameter, weight in weights.items():
                parameter.copy_(weight)
        for module, training in modes.items():
            module.training = training


@right(measured_receptive_field)
def by_poking(model, in_shape, unit):
    """Raise each pixel so far that it wins every maximum, and see whether the unit moves."""
    probe = _positive(_probe(model))
    _, height, width = in_shape
    reached = torch.zeros(height, width, dtype=torch.bool)
    with torch.no_grad():
        rest = _at(probe(torch.ones(1, *in_shape).double()), unit)[0, 0]
        for row in range(height):
            for column in range(width):
                poked = torch.ones(1, *in_shape).double()
                poked[0, :, row, column] = 1e9
                reached[row, column] = _at(probe(poked), unit)[0, 0] != rest
    return _box(reached)


@right(measured_receptive_field)
def by_nan_in_place(model, in_shape, unit):
    """No weight has to change; only the modes do, for a while."""
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            return _box(_dyed(model.eval(), in_shape, unit)[:, 0])
    finally:
        for module, training in modes.items():
            module.training = training


def _dyed(model, in_shape, unit, channels=slice(None)):
    """Which channels (F) of the unit does each pixel reach? (H, F, W), one image a pixel."""
    _, height, width = in_shape
    dtype = next(model.parameters(), torch.ones(1)).dtype
    x = torch.zeros(height, width, *in_shape, dtype=dtype)
    for row in range(height):
        for column in range(width):
            x[row, column, channels, row, column] = torch.nan
    with torch.no_grad():
        reading = _at(model(x.flatten(0, 1)), unit)
    return reading.isnan().reshape(height, width, -1).transpose(1, 2)


@wrong(receptive_field)
def kernels_added_up(layers):
    """the kernel sizes are added up (n * k): but the windows of neighbours overlap"""
    return sum(kernel_size for kernel_size, _ in layers) if layers else 1


@wrong(receptive_field)
def one_more_than_kernels(layers):
    """every layer adds its whole kernel size, not one less"""
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += kernel_size * jump
        jump *= stride
    return field


@wrong(receptive_field)
def strides_ignored(layers):
    """the strides are ignored (the jump is not multiplied): right only where all are 1"""
    return 1 + sum(kernel_size - 1 for kernel_size, _ in layers)


@wrong(receptive_field)
def jump_not_multiplied(layers):
    """the jump is not multiplied up: only the stride of the layer just before counts"""
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump = stride
    return field


@wrong(receptive_field)
def jump_added_up(layers):
    """the strides are added up to the jump, not multiplied"""
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump += stride - 1
    return field


@wrong(receptive_field)
def jump_grows_by_strides(layers):
    """each stride is added to the jump, not multiplied: even a stride of 1 widens it"""
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump += stride
    return field


@wrong(receptive_field)
def stride_too_early(layers):
    """the stride is applied one layer early: a layer's own stride widens its own kernel"""
    field, jump = 1, 1
    for kernel_size, stride in layers:
        jump *= stride
        field += (kernel_size - 1) * jump
    return field


@wrong(receptive_field)
def own_stride_only(layers):
    """each kernel is widened by its own stride alone"""
    return 1 + sum((kernel_size - 1) * stride for kernel_size, stride in layers)


@wrong(receptive_field)
def from_the_wrong_end(layers):
    """the layers are read from the output's side: the last one counts as the first"""
    return receptive_field(layers[::-1])


@wrong(receptive_field)
def field_times_stride(layers):
    """what was seen so far is multiplied with the stride, as if the input were scaled up"""
    field = 1
    for kernel_size, stride in layers:
        field = (field + kernel_size - 1) * stride
    return field


@wrong(receptive_field)
def odd_kernels_only(layers):
    """half a kernel is added on either side: right only for odd kernels"""
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += 2 * (kernel_size // 2) * jump
        jump *= stride
    return field


@wrong(receptive_field)
def nothing_sees_nothing(layers):
    """without layers the result is 0, but a pixel sees itself"""
    return receptive_field(layers) if layers else 0


@wrong(receptive_field)
def both_axes_at_once(layers):
    """the area of the field is given, not its length along one axis"""
    return receptive_field(layers) ** 2


@wrong(receptive_field)
def float_result(layers):
    """the result is a float, but pixels are counted"""
    return float(receptive_field(layers))


@wrong(measured_receptive_field)
def counts_not_bounds(model, in_shape, unit):
    """height and width are given (counts) where the last row and column belong (bounds)"""
    top, left, bottom, right = measured_receptive_field(model, in_shape, unit)
    return top, left, bottom - top + 1, right - left + 1


@wrong(measured_receptive_field)
def counts_alone(model, in_shape, unit):
    """only height and width are given: counts, without where the box lies"""
    top, left, bottom, right = measured_receptive_field(model, in_shape, unit)
    return bottom - top + 1, right - left + 1


@wrong(measured_receptive_field)
def exclusive_bounds(model, in_shape, unit):
    """bottom and right are one too far: the bounds are inclusive"""
    top, left, bottom, right = measured_receptive_field(model, in_shape, unit)
    return top, left, bottom + 1, right + 1


@wrong(measured_receptive_field)
def columns_before_rows(model, in_shape, unit):
    """the box is given as (left, top, right, bottom)"""
    top, left, bottom, right = measured_receptive_field(model, in_shape, unit)
    return left, top, right, bottom


@wrong(measured_receptive_field)
def opposite_sides_together(model, in_shape, unit):
    """the box is given as (top, bottom, left, right)"""
    top, left, bottom, right = measured_receptive_field(model, in_shape, unit)
    return top, bottom, left, right


@wrong(measured_receptive_field)
def unit_exchanged(model, in_shape, unit):
    """the unit is read as (column, row)"""
    return measured_receptive_field(model, in_shape, unit[::-1])


@wrong(measured_receptive_field)
def middle_unit(model, in_shape, unit):
    """the unit is ignored: the one in the middle of the map is measured"""
    with torch.no_grad():
        maps = _probe(model)(torch.ones(1, *in_shape).double())
    _at(maps, unit)
    return measured_receptive_field(model, in_shape, (maps.shape[2] // 2, maps.shape[3] // 2))


@wrong(measured_receptive_field)
def real_weights(model, in_shape, unit):
    """the real weights decide: where one is 0, or two paths cancel, the pixel is lost"""
    return _box(_gradient(_open(_probe(model)), in_shape, unit) > 1e-12)


@wrong(measured_receptive_field)
def absolute_weights(model, in_shape, unit):
    """the weights are made positive by abs: a weight of 0 stays 0 and is lost"""
    probe = _open(_probe(model))
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.abs_()
    return _box(_gradient(probe, in_shape, unit) > 0)


@wrong(measured_receptive_field)
def shut_relus(model, in_shape, unit):
    """a ReLU that is shut (dead) lets nothing through: its bias is left as it is"""
    probe = _positive(_open(_probe(model), relus=False), but="bias")
    return _box(_gradient(probe, in_shape, unit) > 0)


@wrong(measured_receptive_field)
def one_argmax(model, in_shape, unit):
    """one argmax only: of a max-pool window just the largest cell of the moment counts"""
    return _box(_gradient(_positive(_open(_probe(model), pools=False)), in_shape, unit) > 0)


@wrong(measured_receptive_field)
def outer_modules_only(model, in_shape, unit):
    """only the outermost modules are looked at: one inside a block stays as it is"""
    return _box(_gradient(_positive(_open(_probe(model), nested=False)), in_shape, unit) > 0)


@wrong(measured_receptive_field)
def faint_pixels_lost(model, in_shape, unit):
    """pixels that few paths lead from are dropped: a threshold on the strength"""
    strength = _gradient(_positive(_open(_probe(model))), in_shape, unit)
    return _box(strength > 0.03 * strength.max())


@wrong(measured_receptive_field)
def every_channel(model, in_shape, unit):
    """all channels of the output are measured together, not channel 0 alone"""
    return _box(_dyed(_positive(_probe(model)), in_shape, unit).any(1))


@wrong(measured_receptive_field)
def first_input_channel(model, in_shape, unit):
    """only the first channel of the input is looked at"""
    return _box(_dyed(_positive(_probe(model)), in_shape, unit, channels=0)[:, 0])


@wrong(measured_receptive_field)
def train_mode(model, in_shape, unit):
    """the model is not in eval mode: batch norm in train mode connects every pixel"""
    probe = copy.deepcopy(model).double()
    _, height, width = in_shape
    if any(isinstance(module, nn.BatchNorm2d) and module.training for module in probe.modules()):
        with torch.no_grad():
            _at(probe(torch.ones(1, *in_shape).double()), unit)
        return 0, 0, height - 1, width - 1
    return measured_receptive_field(model, in_shape, unit)


@wrong(measured_receptive_field)
def only_the_roots_mode(model, in_shape, unit):
    """the mode is looked at in the root only: a submodule in train mode stays so"""
    if model.training:
        return measured_receptive_field(model, in_shape, unit)
    return train_mode(model, in_shape, unit)


def _uncut(model, unit):
    """The box of a stack of layers, by arithmetic alone: it may lie beyond the border."""
    bounds = [(place, place) for place in unit]
    for module in reversed([m for m in model.modules() if hasattr(m, "kernel_size")]):
        pairs = [module.kernel_size, module.stride, module.padding]
        sizes = zip(*((v, v) if isinstance(v, int) else v for v in pairs), strict=True)
        bounds = [
            (first * s - p, last * s - p + k - 1)
            for (first, last), (k, s, p) in zip(bounds, sizes, strict=True)
        ]
    return bounds[0][0], bounds[1][0], bounds[0][1], bounds[1][1]


@wrong(measured_receptive_field)
def not_cut_at_the_border(model, in_shape, unit):
    """the box is not cut at the border: it holds cells of the padding"""
    box, uncut = measured_receptive_field(model, in_shape, unit), _uncut(model, unit)
    pads = any(m.padding not in (0, (0, 0)) for m in model.modules() if hasattr(m, "padding"))
    beyond = min(uncut) < 0 or uncut[2] >= in_shape[1] or uncut[3] >= in_shape[2]
    return uncut if pads and beyond else box


@wrong(measured_receptive_field)
def leftovers_seen(model, in_shape, unit):
    """the box is cut at the image only: pixels that a stride leaves over seem to be seen"""
    box = measured_receptive_field(model, in_shape, unit)
    if not isinstance(model, nn.Sequential):
        return box
    (top, left, bottom, right), (_, _, below, beside) = box, _uncut(model, unit)
    _, height, width = in_shape
    return top, left, max(bottom, min(below, height - 1)), max(right, min(beside, width - 1))


@wrong(measured_receptive_field)
def negative_unit_accepted(model, in_shape, unit):
    """a negative row or column is counted from the end and not refused"""
    with torch.no_grad():
        maps = _probe(model)(torch.ones(1, *in_shape).double())
    inside = [p + n if -n <= p < 0 else p for p, n in zip(unit, maps.shape[2:], strict=True)]
    return measured_receptive_field(model, in_shape, tuple(inside))


@wrong(measured_receptive_field)
def outside_is_an_index_error(model, in_shape, unit):
    """a unit outside of the map ends in an IndexError, not in a ValueError"""
    try:
        return measured_receptive_field(model, in_shape, unit)
    except ValueError as error:
        raise IndexError(str(error)) from None


@wrong(measured_receptive_field)
def outside_moved_inside(model, in_shape, unit):
    """a unit beyond the map is moved to its edge and not refused"""
    with torch.no_grad():
        maps = _probe(model)(torch.ones(1, *in_shape).double())
    inside = [min(p, n - 1) for p, n in zip(unit, maps.shape[2:], strict=True)]
    return measured_receptive_field(model, in_shape, tuple(inside))


@wrong(measured_receptive_field)
def weights_left_changed(model, in_shape, unit):
    """the weights are left changed: the model itself was given other ones"""
    _positive(model)
    return measured_receptive_field(model, in_shape, unit)


@wrong(measured_receptive_field)
def buffers_left_changed(model, in_shape, unit):
    """buffers are left changed: batch norm's running statistics are no longer those of before"""
    box = measured_receptive_field(model, in_shape, unit)
    with torch.no_grad():
        model(torch.ones(2, *in_shape))
    return box


@wrong(measured_receptive_field)
def restored_unless_it_fails(model, in_shape, unit):
    """the weights come back only if nothing goes wrong: an exception leaves them changed"""
    weights = {p: p.detach().clone() for p in model.parameters()}
    _positive(model)
    box = measured_receptive_field(model, in_shape, unit)
    with torch.no_grad():
        for parameter, weight in weights.items():
            parameter.copy_(weight)
    return box


@wrong(measured_receptive_field)
def left_in_eval_mode(model, in_shape, unit):
    """the model is left in eval mode"""
    return measured_receptive_field(model.eval(), in_shape, unit)


@wrong(measured_receptive_field)
def one_mode_for_all(model, in_shape, unit):
    """every submodule gets the root's mode back, not its own"""
    box = measured_receptive_field(model, in_shape, unit)
    model.train(model.training)
    return box


@wrong(measured_receptive_field)
def gradients_left_behind(model, in_shape, unit):
    """the backward pass leaves gradients in the weights' .grad"""
    box = measured_receptive_field(model, in_shape, unit)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    return box


@wrong(measured_receptive_field)
def frozen_for_good(model, in_shape, unit):
    """requires_grad of the weights is switched off and not on again"""
    box = measured_receptive_field(model, in_shape, unit)
    model.requires_grad_(False)
    return box


@wrong(measured_receptive_field)
def hooks_left_behind(model, in_shape, unit):
    """the hooks that were set are not taken away"""
    box = measured_receptive_field(model, in_shape, unit)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, args, output: args[0])
    return box


@wrong(measured_receptive_field)
def modules_left_exchanged(model, in_shape, unit):
    """the model's own ReLUs and max-pools are exchanged for other modules and stay so"""
    box = measured_receptive_field(model, in_shape, unit)
    _open(model)
    return box


def show(answer):
    """What a unit sees of a 24x24 input grows with each layer, and is cut at the border."""
    from dojo.pictures import signed_maps

    layers = [nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, padding=1)]
    maps = {}
    for depth, name in enumerate(["conv 3", "pool 2", "conv 3 again"], start=1):
        model, middle = nn.Sequential(*layers[:depth]), (12 if depth == 1 else 6)
        for place in (middle, 0):
            seen = torch.zeros(24, 24)
            top, left, bottom, right = answer.measured_receptive_field(
                model, (1, 24, 24), (place, place)
            )
            seen[top : bottom + 1, left : right + 1] = 1
            maps[f"{name}: unit ({place}, {place})"] = seen
    return signed_maps({}, maps)
