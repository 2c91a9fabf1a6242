"""Pictures for `kata show`: sources in grey, maps on one signed colour scale."""

from __future__ import annotations

from typing import Any

import numpy as np

CELL = 3.2  # inches a panel is wide


def signed_maps(sources: dict[str, Any], maps: dict[str, Any]) -> Any:
    """A matplotlib Figure: `sources` (H, W) in grey, then `maps` (H, W), red above and blue
    below zero, all on the same scale so that their strengths can be compared."""
    from matplotlib.figure import Figure

    panels = [(title, _flat(image), False) for title, image in sources.items()]
    panels += [(title, _flat(image), True) for title, image in maps.items()]
    most = max([float(np.abs(image).max()) for _, image, signed in panels if signed] or [1.0])
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = -(-len(panels) // columns)
    height, width = panels[0][1].shape
    size = (CELL * columns + 0.8, (CELL * height / width + 0.4) * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    drawn = None
    for axis, (title, image, signed) in zip(axes, panels, strict=False):
        if signed:
            scale = max(most, 1e-12)
            drawn = axis.imshow(image, cmap="RdBu_r", vmin=-scale, vmax=scale)
        else:
            axis.imshow(image, cmap="gray")
        axis.set_title(title, fontsize=9)
        axis.set(xticks=[], yticks=[])  # the frame stays: white on white has no border else
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if drawn is not None:
        figure.colorbar(drawn, ax=axes.tolist(), shrink=0.8, label="response, 0 in the middle")
    return figure


def _flat(image: Any) -> np.ndarray:
    """An image of any array kind as (H, W)."""
    array = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image, float)
    return array.reshape(array.shape[-2:])
