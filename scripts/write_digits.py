"""Writes scikit-learn's 1,797 scanned handwritten digits as PNG files in class folders.

usage: python scripts/write_digits.py FOLDER
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

_SIDE = 32


def write_digits(folder: Path) -> int:
    """Writes ``folder/<digit>/<index>.png``, 32 by 32 grey pixels each, unless they are there. Gives their number."""
    digits = load_digits()
    if folder.exists():
        return len(digits.target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        target = temporary / str(label) / f"{index:04d}.png"
        target.parent.mkdir(exist_ok=True)
        # The scans have 17 grey levels on 8 by 8 pixels.
        grey = Image.fromarray(np.round(pixels * 255 / 16).astype(np.uint8))
        grey.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(target)
    temporary.chmod(0o755)
    os.replace(temporary, folder)
    return len(digits.target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{write_digits(Path(sys.argv[1])):,} images in {sys.argv[1]}")
