"""Packs the house into the wheel, for `kata init`: exactly the files that a copy is made of."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PackHouse(BuildHookInterface):
    """An editable install needs none of it: there the house is the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from dojo.house import PACKED, carried

        root = Path(self.root)
        packed = PACKED.relative_to(root).as_posix()
        build_data["force_include"] |= {
            str(root / name): f"{packed}/{name}" for name in carried(root)
        }
