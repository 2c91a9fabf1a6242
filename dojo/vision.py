"""Import torchvision also where its compiled half does not fit the installed torch.

With a CPU build of torch and a CUDA build of torchvision (or the other way round)
`import torchvision` stops with "operator torchvision::nms does not exist". Models,
weights and transforms need none of its operators, only that their schemas are declared.
With a pair that fits nothing is declared. Import this before torchvision.
"""

import importlib.util

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _compiled_half_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # nothing to mend: the import itself will say what is missing
    from pathlib import Path

    for path in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(str(path))
        except OSError:
            return False
        return True
    return False


if not _compiled_half_loads():
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
