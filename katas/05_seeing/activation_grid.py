"""All maps of a layer on one sheet: what each filter has found."""

import torch
from torch import Tensor


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
    raise NotImplementedError("activation_grid")
