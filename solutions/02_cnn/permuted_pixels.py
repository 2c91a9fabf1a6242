"""Shuffle the pixels: a dense layer does not mind, a convolution does."""

import torch
from torch import Tensor, nn

from dojo import right, wrong


def permute_pixels(x: Tensor, permutation: Tensor) -> Tensor:
    """Shuffle the pixels of every image and channel in the same way.

    Read in rows, place i of the result gets what stood at place permutation[i]. It is one
    permutation for all: images and channels are not exchanged, only the places within each.

    Shapes:
        x: (N, C, H, W), any dtype; permutation: (H * W,) int64, each place once
        returns: (N, C, H, W), a new tensor, differentiable in x

    Example:
        >>> permute_pixels(torch.tensor([[[[10, 20], [30, 40]]]]), torch.tensor([1, 0, 3, 2]))
        tensor([[[[20, 10],
                  [40, 30]]]])

    Raises:
        ValueError: permutation is not an int64 tensor that holds each of 0 to H * W - 1 once.

    Source: Zhang, Bengio, Hardt, Recht & Vinyals, Understanding Deep Learning Requires
        Rethinking Generalization, arXiv:1611.03530, section 2.1 (shuffled pixels).
    """
    _look(permutation, x.shape[2] * x.shape[3])
    return x.flatten(2)[:, :, permutation].reshape(x.shape)


def same_function(dense: nn.Linear, permutation: Tensor) -> nn.Linear:
    """Make the dense layer that gives on shuffled images what `dense` gives on the originals.

    A dense layer has a weight for each input and knows nothing of neighbours. When the inputs
    change places the weights can change places too. It serves images of one channel or of
    several, flattened in (C, H, W) order. The layer handed in is not changed, and the new one
    has weights of its own.

    Shapes:
        dense: C * H * W inputs, with or without bias; permutation: (H * W,) as above
        returns: a new nn.Linear of the same sizes and dtype

    Example:
        >>> dense, shuffle = nn.Linear(6, 2), torch.tensor([2, 0, 1, 5, 3, 4])
        >>> x = torch.rand(4, 1, 2, 3)
        >>> other = same_function(dense, shuffle)(permute_pixels(x, shuffle).flatten(1))
        >>> torch.allclose(other, dense(x.flatten(1)), atol=1e-6)
        True

    Raises:
        ValueError: permutation is none (see above), or dense's inputs are no multiple of its
            length.

    Source: Goodfellow, Bengio & Courville, Deep Learning, 2016, section 9.4 (priors).
    """
    if permutation.dim() != 1 or len(permutation) == 0 or dense.in_features % len(permutation):
        raise ValueError(
            f"{dense.in_features} inputs are not for {tuple(permutation.shape)} places"
        )
    _look(permutation, len(permutation))
    other = nn.Linear(dense.in_features, dense.out_features, dense.bias is not None)
    other = other.to(dense.weight)
    with torch.no_grad():
        places = dense.weight.unflatten(1, (-1, len(permutation)))
        other.weight.copy_(places[:, :, permutation].flatten(1))
        if dense.bias is not None:
            other.bias.copy_(dense.bias)
    return other


def _look(permutation: Tensor, count: int) -> None:
    whole = permutation.dtype == torch.int64 and permutation.shape == (count,)
    if not whole or not torch.equal(permutation.sort().values, torch.arange(count)):
        raise ValueError(f"permutation must hold each of 0 to {count - 1} once, as int64")


HINTS = [
    "Flatten rows and columns: what does x[..., permutation] do? If input i of the shuffled image "
    "is what was input permutation[i], which weight must stand at i?",
    "permute_pixels: flatten(2), index the last axis, reshape back. same_function: the weight's "
    "columns are shuffled in the very same way, channel by channel.",
    "x.flatten(2)[:, :, permutation].reshape(x.shape). The new weight is "
    "dense.weight.unflatten(1, (-1, H * W))[:, :, permutation].flatten(1); the bias is copied.",
]


def _layer(dense, weight):
    """A layer like `dense` with this weight."""
    other = nn.Linear(*dense.weight.shape[::-1], dense.bias is not None).to(dense.weight)
    with torch.no_grad():
        other.weight.copy_(weight)
        if dense.bias is not None:
            other.bias.copy_(dense.bias)
    return other


def _refuse(dense, permutation):
    if permutation.dim() != 1 or not len(permutation) or dense.in_features % len(permutation):
        raise ValueError("sizes")
    _look(permutation, len(permutation))


@right(permute_pixels)
def by_gather(x, permutation):
    if permutation.dim() != 1 or permutation.dtype != torch.int64:
        raise ValueError("permutation")
    if sorted(permutation.tolist()) != list(range(x.shape[2] * x.shape[3])):
        raise ValueError("permutation")
    index = permutation.expand(*x.shape[:2], -1)
    return x.reshape(*x.shape[:2], -1).gather(2, index).view(x.shape)


@right(permute_pixels)
def by_scattering(x, permutation):
    """Where each pixel goes is the inverse; images and channels by loops."""
    count = x.shape[2] * x.shape[3]
    _look(permutation, count)
    rows = []
    for image in x:
        for channel in image:
            flat = channel.flatten()
            rows.append(torch.stack([flat[int(place)] for place in permutation]))
    return torch.stack(rows).reshape(x.shape)


@right(permute_pixels)
def by_rows_and_columns(x, permutation):
    _look(permutation, x.shape[2] * x.shape[3])
    rows, columns = permutation // x.shape[3], permutation % x.shape[3]
    return x[:, :, rows, columns].unflatten(2, x.shape[2:])


@right(same_function)
def by_a_matrix(dense, permutation):
    """The weight times the permutation as a matrix, repeated for each channel."""
    _refuse(dense, permutation)
    channels = dense.in_features // len(permutation)
    matrix = torch.eye(len(permutation), dtype=dense.weight.dtype)[permutation]
    return _layer(dense, dense.weight.detach() @ torch.block_diag(*[matrix.T] * channels))


@right(same_function)
def by_copying(dense, permutation):
    import copy

    _refuse(dense, permutation)
    other, count = copy.deepcopy(dense), len(permutation)
    for channel in range(dense.in_features // count):
        for i, place in enumerate(permutation.tolist()):
            column = dense.weight[:, channel * count + place]
            other.weight.data[:, channel * count + i] = column.detach()
    return other


@right(same_function)
def by_shuffling_numbers(dense, permutation):
    """The weight's rows are pictures: they are shuffled as pictures are."""
    _refuse(dense, permutation)
    pictures = dense.weight.detach().unflatten(1, (-1, 1, len(permutation)))
    return _layer(dense, permute_pixels(pictures, permutation).flatten(1))


@wrong(same_function)
def itself_where_nothing_moves(dense, permutation):
    """where nothing moves the layer itself is returned, no new one"""
    _refuse(dense, permutation)
    nothing = torch.equal(permutation, torch.arange(len(permutation)))
    return dense if nothing else same_function(dense, permutation)


@wrong(permute_pixels)
def inverse(x, permutation):
    """the inverse is used: pixel i goes to permutation[i] instead of coming from there"""
    _look(permutation, x.shape[2] * x.shape[3])
    return permute_pixels(x, permutation.argsort())


@wrong(permute_pixels)
def one_row_in_memory(x, permutation):
    """view() runs the pixels into rows: of a transposed tensor torch gives no such view"""
    rows = x.view(*x.shape[:2], -1)
    return permute_pixels(rows.view(x.shape), permutation)


@wrong(permute_pixels)
def batch_permuted(x, permutation):
    """the images of the batch change places, not the pixels"""
    _look(permutation, x.shape[2] * x.shape[3])
    return x[permutation % len(x)][: len(x)].clone()


@wrong(permute_pixels)
def a_new_one_for_each_image(x, permutation):
    """every image is shuffled in another way"""
    rolled = [permutation.roll(number) for number in range(len(x))]
    _look(permutation, x.shape[2] * x.shape[3])
    return torch.cat([permute_pixels(i, p) for i, p in zip(x.split(1), rolled, strict=True)])


@wrong(permute_pixels)
def judged_by_its_ends(x, permutation):
    """the permutation is judged by its length, least and most: places may be named twice between"""
    count = x.shape[2] * x.shape[3]
    whole = permutation.dtype == torch.int64 and permutation.shape == (count,)
    if not whole or permutation.min() != 0 or permutation.max() != count - 1:
        raise ValueError("permutation")
    return x.flatten(2)[:, :, permutation].reshape(x.shape)


@wrong(permute_pixels)
def first_channel_only(x, permutation):
    """only the first channel is shuffled"""
    return torch.cat([permute_pixels(x[:, :1], permutation), x[:, 1:]], 1)


@wrong(permute_pixels)
def first_image_only(x, permutation):
    """only the first image is shuffled"""
    return torch.cat([permute_pixels(x[:1], permutation), x[1:]])


@wrong(permute_pixels)
def read_in_columns(x, permutation):
    """places are counted down the columns, not along the rows"""
    _look(permutation, x.shape[2] * x.shape[3])
    return permute_pixels(x.mT, permutation).mT


@wrong(permute_pixels)
def laid_out_in_columns(x, permutation):
    """height and width of the result are exchanged"""
    return permute_pixels(x, permutation).reshape(*x.shape[:2], *x.shape[:1:-1])


@wrong(permute_pixels)
def left_flat(x, permutation):
    """the result stays flat: rows and columns are lost"""
    return permute_pixels(x, permutation).flatten(2)


@wrong(permute_pixels)
def nothing_shuffled(x, permutation):
    """nothing is shuffled"""
    return permute_pixels(x, permutation) * 0 + x


@wrong(permute_pixels)
def written_into(x, permutation):
    """x itself is shuffled"""
    shuffled = permute_pixels(x, permutation)
    x.detach().copy_(shuffled.detach())
    return shuffled


@wrong(permute_pixels)
def graph_cut(x, permutation):
    """the graph is cut: no gradient reaches x"""
    return permute_pixels(x, permutation).detach()


@wrong(permute_pixels)
def always_float(x, permutation):
    """the result is float32 whatever came in"""
    return permute_pixels(x, permutation).float()


@wrong(permute_pixels)
def not_looked_at(x, permutation):
    """what is no permutation is not refused: pixels may be doubled or lost"""
    flat = x.flatten(2)
    index = (permutation.flatten().long() % flat.shape[2]).repeat(2)[: flat.shape[2]]
    index = torch.cat([index, torch.zeros(flat.shape[2], dtype=torch.long)])[: flat.shape[2]]
    return flat[:, :, index].reshape(x.shape)


@wrong(permute_pixels)
def only_the_length(x, permutation):
    """only the permutation's length is looked at: places may be named twice"""
    count = x.shape[2] * x.shape[3]
    if permutation.shape != (count,) or permutation.dtype != torch.int64:
        raise ValueError("length")
    if permutation.min() < 0 or permutation.max() >= count:
        raise ValueError("range")
    return x.flatten(2)[:, :, permutation].reshape(x.shape)


def _whole(permutation, count):
    if permutation.dtype != torch.int64 or permutation.shape != (count,) or not count:
        raise ValueError("permutation")


@wrong(permute_pixels)
def only_the_sum(x, permutation):
    """the permutation is judged by its sum: places named twice can make it up"""
    count = x.shape[2] * x.shape[3]
    _whole(permutation, count)
    if permutation.min() < 0 or permutation.max() >= count:
        raise ValueError("range")
    if permutation.sum() != torch.arange(count).sum():
        raise ValueError("sum")
    return x.flatten(2)[:, :, permutation].reshape(x.shape)


@wrong(permute_pixels)
def counted_from_the_end(x, permutation):
    """negative places are taken: they count from the end"""
    count = x.shape[2] * x.shape[3]
    _whole(permutation, count)
    if permutation.max() < count and permutation.min() >= -count:
        return permute_pixels(x, permutation % count)
    return permute_pixels(x, permutation)


@wrong(permute_pixels)
def once_more_for_each_channel(x, permutation):
    """every channel is shuffled once more than the one before it"""
    channels, order = [permute_pixels(x[:, :1], permutation)], permutation
    for channel in x.split(1, 1)[1:]:
        order = order[permutation]
        channels.append(permute_pixels(channel, order))
    return torch.cat(channels, 1)


@wrong(permute_pixels)
def x_itself(x, permutation):
    """where nothing moves x itself is returned, no tensor of its own"""
    still = torch.equal(permutation, torch.arange(x.shape[2] * x.shape[3]))
    return x if still else permute_pixels(x, permutation)


@wrong(permute_pixels)
def any_numbers(x, permutation):
    """numbers that are no int64 are taken too"""
    return permute_pixels(x, permutation.long())


@wrong(same_function)
def weights_by_the_inverse(dense, permutation):
    """the weights are shuffled by the inverse"""
    _refuse(dense, permutation)
    return same_function(dense, permutation.argsort())


@wrong(same_function)
def weights_as_they_are(dense, permutation):
    """the weights are not shuffled at all"""
    _refuse(dense, permutation)
    return _layer(dense, dense.weight)


@wrong(same_function)
def outputs_shuffled(dense, permutation):
    """the outputs are shuffled, not the inputs"""
    _refuse(dense, permutation)
    order = permutation[permutation < dense.out_features]
    return _layer(dense, dense.weight[order] if len(order) == dense.out_features else dense.weight)


@wrong(same_function)
def one_channel_only(dense, permutation):
    """only the first channel's weights are shuffled"""
    _refuse(dense, permutation)
    weight, count = dense.weight.detach().clone(), len(permutation)
    weight[:, :count] = weight[:, :count][:, permutation]
    return _layer(dense, weight)


@wrong(same_function)
def grey_only(dense, permutation):
    """images of several channels are refused"""
    _refuse(dense, permutation)
    if dense.in_features != len(permutation):
        raise ValueError("channels")
    return same_function(dense, permutation)


@wrong(same_function)
def channels_inside(dense, permutation):
    """the inputs are taken in (H, W, C) order: channels are mixed up"""
    _refuse(dense, permutation)
    weight = dense.weight.detach().unflatten(1, (len(permutation), -1))[:, permutation]
    return _layer(dense, weight.flatten(1))


@wrong(same_function)
def bias_lost(dense, permutation):
    """the bias is lost"""
    other = same_function(dense, permutation)
    if other.bias is not None:
        nn.init.zeros_(other.bias)
    return other


@wrong(same_function)
def bias_added(dense, permutation):
    """a layer without bias gets one"""
    other = same_function(dense, permutation)
    made = nn.Linear(dense.in_features, dense.out_features).to(dense.weight)
    made.load_state_dict({"bias": made.bias.detach(), **other.state_dict()})
    return made


@wrong(same_function)
def the_same_layer(dense, permutation):
    """the layer handed in is changed and returned"""
    other = same_function(dense, permutation)
    dense.load_state_dict(other.state_dict())
    return dense


@wrong(same_function)
def weights_shared(dense, permutation):
    """the new layer shares its bias with the old one"""
    other = same_function(dense, permutation)
    other.bias = dense.bias
    return other


@wrong(same_function)
def weights_in_the_graph(dense, permutation):
    """the new weight is no Parameter but still hangs on that of dense"""
    other = same_function(dense, permutation)
    del other.weight
    pictures = dense.weight.unflatten(1, (-1, len(permutation)))
    other.weight = pictures[:, :, permutation].flatten(1)
    return other


@wrong(same_function)
def frozen(dense, permutation):
    """the new layer is frozen: requires_grad is off"""
    return same_function(dense, permutation).requires_grad_(False)


@wrong(same_function)
def layer_by_the_sum(dense, permutation):
    """same_function judges the permutation by its sum: a weight may be taken twice"""
    count = permutation.numel()
    fits = permutation.dim() == 1 and count and not dense.in_features % count
    if not fits or permutation.min() < 0 or permutation.max() >= count:
        raise ValueError("range")
    if permutation.dtype != torch.int64 or permutation.sum() != torch.arange(count).sum():
        raise ValueError("sum")
    pictures = dense.weight.detach().unflatten(1, (-1, count))
    return _layer(dense, pictures[:, :, permutation].flatten(1))


@wrong(same_function)
def layer_counted_from_the_end(dense, permutation):
    """same_function takes negative places: they count from the end"""
    count = permutation.numel()
    if (
        permutation.dim() == 1
        and count
        and -count <= permutation.min()
        and permutation.max() < count
    ):
        permutation = permutation % count
    return same_function(dense, permutation)


@wrong(same_function)
def layer_of_any_numbers(dense, permutation):
    """same_function takes numbers that are no int64"""
    return same_function(dense, permutation.long())


@wrong(same_function)
def layer_float32(dense, permutation):
    """the new layer is float32 whatever came in"""
    return same_function(dense, permutation).float()


@wrong(same_function)
def layer_not_looked_at(dense, permutation):
    """sizes that do not fit, and what is no permutation, are not refused by same_function"""
    count = max(1, permutation.numel())
    index = permutation.flatten().long() % max(1, min(count, dense.in_features))
    weight = dense.weight.detach().clone()
    part = min(count, dense.in_features)
    weight[:, :part] = weight[:, index[:part]] if permutation.numel() else weight[:, :part]
    try:
        return same_function(dense, permutation)
    except ValueError:
        return _layer(dense, weight)


def show(answer):
    """A digit, shuffled, and what a blur and a dense layer's twin make of both."""
    from data import digits
    from dojo.pictures import signed_maps

    x = torch.from_numpy(digits()[0][3:4])
    shuffle = torch.randperm(784, generator=torch.Generator().manual_seed(0))
    shuffled = answer.permute_pixels(x, shuffle)
    back = answer.permute_pixels(shuffled, shuffle.argsort())

    def blurred(image):
        return nn.functional.avg_pool2d(image, 5, stride=1, padding=2)

    torch.default_generator.manual_seed(0)
    dense = nn.Linear(784, 10)
    twin = answer.same_function(dense, shuffle)
    logits = [dense(x.flatten(1)), twin(shuffled.flatten(1))]
    far = (logits[0] - logits[1]).abs().max().item()
    return signed_maps(
        {"a digit": x, "shuffled": shuffled, "shuffled back": back},
        {"blurred": blurred(x), "blurred while shuffled, then back":
            answer.permute_pixels(blurred(shuffled), shuffle.argsort()),
         f"a dense layer and its twin part by {far:.1g}": torch.zeros(28, 28)},
    )  # fmt: skip
