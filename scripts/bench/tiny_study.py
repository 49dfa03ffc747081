"""Studies of trials that take no time, in a folder of their own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from images import write_images

from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import SearchSpec

SPACES = Path(__file__).with_name("spaces.py")


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder, which holds the decoded data too."""
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as name:
        os.environ["TUNER_CACHE"] = str(Path(name, "cache"))
        yield Path(name)


def tiny_spec(folder: Path, trials: int, **space_options: Any) -> SearchSpec:
    """A study of ``Tiny`` on 200 images of 8 by 8 pixels, written to ``folder``; one epoch, one slot, no pruner."""
    images = write_images(folder / "images", per_class=20, side=8)
    spec = {
        "study": "bench",
        "data": {"kind": "image_directory", "path": str(images), "image_size": [8, 8]},
        "space": {"name": f"{SPACES}:Tiny", **space_options},
        "objective": "val_accuracy",
        "trials": trials,
        "pruner": "none",
        "training": {"epochs": 1, "early_stopping": None},
        "resources": {"slots": 1},
        "artifacts": str(folder / "artifacts"),
    }
    return validate_spec(spec, source="benchmark", base=folder)
