"""All maps of a layer on one sheet: what each filter has found."""

import torch
from torch import Tensor

from dojo import right, wrong


def to_grid(maps: Tensor, columns: int, pad: int = 1) -> Tensor:
    """Lay maps out as tiles, row by row, each one stretched to its own range.

    A map's smallest value becomes 0 and its largest 1, so that quiet maps can be seen beside
    loud ones; a map without any range becomes 0 all over. The tiles stand in reading order,
    always `columns` to a row, also where fewer maps than columns are left; what is left over is
    0. Between neighbouring tiles lie `pad` cells of 0, around the sheet none.

    Shapes:
        maps: (K, H, W), float32 or float64, K at least 1; columns from 1 on, pad from 0 on
        returns: (rows * H + (rows - 1) * pad, columns * W + (columns - 1) * pad), where rows is
            as many as K tiles need; of maps' dtype, detached

    Example:
        >>> to_grid(torch.tensor([[[0.0, 4.0]], [[7.0, 7.0]], [[3.0, 1.0]]]), columns=2)
        tensor([[0., 1., 0., 0., 0.],
                [0., 0., 0., 0., 0.],
                [1., 0., 0., 0., 0.]])

    Raises:
        ValueError: maps has not three axes, columns is below 1 or pad below 0.

    Source: Yosinski, Clune, Nguyen, Fuchs & Lipson, Understanding Neural Networks Through Deep
        Visualization, arXiv:1506.06579, section 2.
    """
    if maps.dim() != 3:
        raise ValueError(f"maps has shape {tuple(maps.shape)}, it must be (K, H, W)")
    if columns < 1 or pad < 0:
        raise ValueError(f"columns is {columns}, at least 1; pad is {pad}, at least 0")
    maps = maps.detach()
    count, height, width = maps.shape
    rows = -(-count // columns)
    sheet = maps.new_zeros(rows * (height + pad) - pad, columns * (width + pad) - pad)
    for place, tile in enumerate(maps):
        top, left = place // columns * (height + pad), place % columns * (width + pad)
        sheet[top : top + height, left : left + width] = _stretched(tile)
    return sheet


def _stretched(tile: Tensor) -> Tensor:
    """From its own minimum, 0, to its own maximum, 1; 0 where there is no range."""
    low, high = tile.min(), tile.max()
    return (tile - low) / (high - low) if high > low else torch.zeros_like(tile)


HINTS = [
    "How many rows do 7 tiles need in 3 columns? At which row and column of the sheet does tile "
    "number 5 begin, if tiles are H x W and pad cells lie between them?",
    "Begin with a sheet of zeros and write tile after tile into it: place // columns is its row, "
    "place % columns its column, and each step is a tile's size plus pad. Stretch each tile by "
    "its own minimum and maximum, and look out for a maximum that equals the minimum.",
    "rows = -(-K // columns); the sheet has rows * (H + pad) - pad rows and columns * (W + pad) "
    "- pad columns; sheet[top:top + H, left:left + W] = (tile - low) / (high - low).",
]


def _sheet(maps, columns, pad, *, stretch=_stretched, place_of=None, rows=None, frame=0):
    """The answer with one part exchanged."""
    if maps.dim() != 3 or columns < 1 or pad < 0:
        raise ValueError("maps, columns or pad")
    maps = maps.detach()
    count, height, width = maps.shape
    rows = -(-count // columns) if rows is None else rows
    size = (rows * (height + pad) - pad + 2 * frame, columns * (width + pad) - pad + 2 * frame)
    sheet = maps.new_zeros(size)
    for place, tile in enumerate(maps):
        row, column = place_of(place, rows) if place_of else divmod(place, columns)
        top, left = row * (height + pad) + frame, column * (width + pad) + frame
        if row < rows and column < columns:
            sheet[top : top + height, left : left + width] = stretch(tile)
    return sheet


@right(to_grid)
def by_padding_and_folding(maps, columns, pad=1):
    """All tiles at once: padded, laid out by reshaping, the last pad cut off."""
    if maps.dim() != 3 or columns < 1 or pad < 0:
        raise ValueError("maps, columns or pad")
    flat = maps.detach().flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    spread = torch.where(high > low, high - low, torch.ones_like(low))
    tiles = ((flat - low) / spread).unflatten(1, maps.shape[1:])
    tiles = torch.nn.functional.pad(tiles, (0, pad, 0, pad))
    rows = -(-len(tiles) // columns)
    blank = tiles.new_zeros(rows * columns - len(tiles), *tiles.shape[1:])
    sheet = torch.cat([tiles, blank]).unflatten(0, (rows, columns))
    sheet = sheet.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    return sheet[: sheet.shape[0] - pad, : sheet.shape[1] - pad].contiguous()


@right(to_grid)
def by_joining_rows(maps, columns, pad=1):
    """Tiles joined to rows, rows to a sheet, with strips of zeros between them."""
    if maps.dim() != 3:
        raise ValueError("maps")
    if columns < 1 or pad < 0:
        raise ValueError("columns or pad")
    height, width = maps.shape[1:]
    tiles = [_stretched(tile) for tile in maps.detach()]
    while len(tiles) % columns:
        tiles.append(maps.new_zeros(height, width))
    strips = []
    for start in range(0, len(tiles), columns):
        parts = []
        for tile in tiles[start : start + columns]:
            parts += [tile, maps.new_zeros(height, pad)]
        strip = torch.cat(parts[:-1], 1)
        strips += [strip, maps.new_zeros(pad, strip.shape[1])]
    return torch.cat(strips[:-1], 0)


@right(to_grid)
def by_numpy_in_float64(maps, columns, pad=1):
    import numpy as np

    if maps.dim() != 3 or columns < 1 or pad < 0:
        raise ValueError("maps, columns or pad")
    array = maps.detach().double().numpy()
    count, height, width = array.shape
    rows = int(np.ceil(count / columns))
    sheet = np.zeros((rows * height + (rows - 1) * pad, columns * width + (columns - 1) * pad))
    for place in range(count):
        row, column = place // columns, place - place // columns * columns
        low, spread = array[place].min(), np.ptp(array[place])
        tile = (array[place] - low) / spread if spread else 0.0
        sheet[row * (height + pad) :, column * (width + pad) :][:height, :width] = tile
    return torch.from_numpy(sheet).to(maps.dtype)


@wrong(to_grid)
def one_range_for_all(maps, columns, pad=1):
    """all maps share one range: quiet ones are black"""
    low, high = maps.detach().min(), maps.detach().max()
    spread = high - low if high > low else torch.ones_like(low)

    def stretch(tile):
        return (tile - low) / spread if tile.max() > tile.min() else torch.zeros_like(tile)

    return _sheet(maps, columns, pad, stretch=stretch)


@wrong(to_grid)
def divided_by_the_maximum(maps, columns, pad=1):
    """only the maximum is divided by: a map's minimum is not taken off"""

    def stretch(tile):
        flat = tile.max() == tile.min()
        return torch.zeros_like(tile) if flat else tile / tile.abs().max()

    return _sheet(maps, columns, pad, stretch=stretch)


@wrong(to_grid)
def not_stretched(maps, columns, pad=1):
    """the maps are laid out as they are: they are not stretched to 0..1"""
    return _sheet(maps, columns, pad, stretch=lambda tile: tile)


@wrong(to_grid)
def cut_to_the_range(maps, columns, pad=1):
    """values are cut off at 0 and 1, not stretched"""
    return _sheet(maps, columns, pad, stretch=lambda tile: tile.clamp(0, 1))


@wrong(to_grid)
def not_a_number(maps, columns, pad=1):
    """a map without range gives NaN: 0 is divided by 0"""
    return _sheet(
        maps, columns, pad, stretch=lambda tile: (tile - tile.min()) / (tile.max() - tile.min())
    )


@wrong(to_grid)
def constant_is_one(maps, columns, pad=1):
    """a map without range is white (1), not black (0)"""

    def stretch(tile):
        return _stretched(tile) if tile.max() > tile.min() else torch.ones_like(tile)

    return _sheet(maps, columns, pad, stretch=stretch)


@wrong(to_grid)
def constant_as_it_is(maps, columns, pad=1):
    """a map without range keeps its values instead of becoming 0"""

    def stretch(tile):
        return _stretched(tile) if tile.max() > tile.min() else tile

    return _sheet(maps, columns, pad, stretch=stretch)


@wrong(to_grid)
def with_a_small_number(maps, columns, pad=1):
    """a fixed small number is added to the range: quiet maps come out darker"""
    return _sheet(maps, columns, pad, stretch=_over_more_than_its_range(1e-5))


def _over_more_than_its_range(more):
    return lambda tile: (tile - tile.min()) / (tile.max() - tile.min() + more)


@wrong(to_grid)
def with_a_tiny_number(maps, columns, pad=1):
    """1e-8 is added to the range: maps that are quieter still do not reach 1"""
    return _sheet(maps, columns, pad, stretch=_over_more_than_its_range(1e-8))


@wrong(to_grid)
def turned_around(maps, columns, pad=1):
    """the largest value becomes 0 and the smallest 1"""

    def stretch(tile):
        return 1 - _stretched(tile) if tile.max() > tile.min() else torch.zeros_like(tile)

    return _sheet(maps, columns, pad, stretch=stretch)


@wrong(to_grid)
def column_by_column(maps, columns, pad=1):
    """the tiles go down the columns first, not along the rows"""
    return _sheet(maps, columns, pad, place_of=lambda place, rows: divmod(place, rows)[::-1])


@wrong(to_grid)
def last_row_lost(maps, columns, pad=1):
    """a last row that is not full is lost (// rounds down)"""
    if maps.dim() != 3 or columns < 1 or pad < 0:
        raise ValueError("maps, columns or pad")
    return _sheet(maps, columns, pad, rows=max(1, len(maps) // columns))


@wrong(to_grid)
def a_row_too_many(maps, columns, pad=1):
    """there is always one more row than full ones, also where none is needed"""
    if maps.dim() != 3 or columns < 1 or pad < 0:
        raise ValueError("maps, columns or pad")
    return _sheet(maps, columns, pad, rows=len(maps) // columns + 1)


@wrong(to_grid)
def as_many_columns_as_maps(maps, columns, pad=1):
    """with fewer maps than columns the sheet gets narrower"""
    if maps.dim() == 3 and columns >= 1:
        columns = min(columns, max(1, len(maps)))
    return _sheet(maps, columns, pad)


@wrong(to_grid)
def framed(maps, columns, pad=1):
    """there is padding around the sheet too: a frame"""
    return _sheet(maps, columns, pad, frame=max(pad, 0))


@wrong(to_grid)
def padded_at_the_end(maps, columns, pad=1):
    """every tile has padding behind it, the last ones of row and column too"""
    sheet = _sheet(maps, columns, pad)
    return torch.nn.functional.pad(sheet, (0, pad, 0, pad))


@wrong(to_grid)
def padded_one_way(maps, columns, pad=1):
    """there is padding between rows of tiles only, none between columns"""
    _sheet(maps, columns, pad)
    strips = [_sheet(maps[i : i + columns], columns, 0) for i in range(0, len(maps), columns)]
    blank = maps.new_zeros(pad, strips[0].shape[1])
    return torch.cat([part for strip in strips for part in (strip, blank)][:-1])


@wrong(to_grid)
def always_one_cell(maps, columns, pad=1):
    """pad is not used: there is always one cell between tiles"""
    _sheet(maps, columns, pad)
    return _sheet(maps, columns, 1)


@wrong(to_grid)
def bright_padding(maps, columns, pad=1):
    """the cells between the tiles are 1, not 0"""
    sheet = _sheet(maps, columns, pad)
    height, width = maps.shape[1:]
    for start in range(height, sheet.shape[0], height + pad):
        sheet[start : start + pad] = 1
    for start in range(width, sheet.shape[1], width + pad):
        sheet[:, start : start + pad] = 1
    return sheet


@wrong(to_grid)
def bright_leftovers(maps, columns, pad=1):
    """cells without a map are 1, not 0"""
    sheet = _sheet(maps, columns, pad)
    height, width = maps.shape[1:]
    for place in range(len(maps), -(-len(maps) // columns) * columns):
        top, left = place // columns * (height + pad), place % columns * (width + pad)
        sheet[top : top + height, left : left + width] = 1
    return sheet


@wrong(to_grid)
def tiles_turned(maps, columns, pad=1):
    """rows and columns of the tiles are exchanged: the maps lie on their side"""
    return _sheet(maps.mT if maps.dim() == 3 else maps, columns, pad)


@wrong(to_grid)
def columns_are_rows(maps, columns, pad=1):
    """columns is taken for the number of rows"""
    if maps.dim() != 3 or columns < 1:
        raise ValueError("maps or columns")
    return _sheet(maps, -(-len(maps) // columns), pad)


@wrong(to_grid)
def written_into(maps, columns, pad=1):
    """the maps handed in are stretched in place"""
    sheet = _sheet(maps, columns, pad)
    for tile in maps.detach():
        tile.copy_(_stretched(tile))
    return sheet


@wrong(to_grid)
def graph_kept(maps, columns, pad=1):
    """the sheet hangs on the maps' graph: it is not detached"""
    sheet = _sheet(maps, columns, pad)
    return sheet + 0 * maps.sum() if maps.requires_grad else sheet


@wrong(to_grid)
def always_float32(maps, columns, pad=1):
    """the sheet is float32 whatever came in"""
    return _sheet(maps, columns, pad).float()


@wrong(to_grid)
def no_column_is_one(maps, columns, pad=1):
    """columns below 1 is taken for 1 instead of being refused"""
    return _sheet(maps, max(columns, 1), pad)


@wrong(to_grid)
def no_look_at_pad(maps, columns, pad=1):
    """a pad below 0 is taken for 0 instead of being refused"""
    return _sheet(maps, columns, max(pad, 0))


@wrong(to_grid)
def a_batch_of_one(maps, columns, pad=1):
    """(1, K, H, W) is squeezed instead of being refused"""
    return _sheet(maps[0] if maps.dim() == 4 else maps, columns, pad)


@wrong(to_grid)
def one_row_in_memory(maps, columns, pad=1):
    """view() runs the maps into rows: of a permuted tensor torch gives no such view"""
    sheet = to_grid(maps, columns, pad)
    maps.view(len(maps), -1)
    return sheet


def show(answer):
    """A photo, and what eight filters of an edge bank find in it."""
    from data import photo
    from dojo.pictures import signed_maps

    image = torch.from_numpy(photo()).float()
    angles = torch.arange(8) * torch.pi / 4
    rows, columns = torch.meshgrid(torch.arange(5.0) - 2, torch.arange(5.0) - 2, indexing="ij")
    kernels = torch.stack([(rows * a.sin() + columns * a.cos()) for a in angles])
    kernels = kernels * torch.exp(-(rows**2 + columns**2) / 4)
    maps = torch.nn.functional.conv2d(image[None, None], kernels[:, None]).relu()[0]
    sheet = answer.to_grid(maps[:, ::2, ::2], columns=4, pad=3)
    return signed_maps({"the photo": image, "eight directions, each on its own scale": sheet}, {})
