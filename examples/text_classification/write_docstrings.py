"""Writes docstrings of installed packages as a CSV file: which package does each of them document?

usage: python write_docstrings.py FILE.csv

Nothing is imported: the packages' source files are parsed. A package's own name is taken out of its texts.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PACKAGES = ("keras", "numpy", "optuna", "scipy", "sqlalchemy")
_LEAST_WORDS, _MOST_WORDS = 8, 120
_MOST_TEXTS = 600


def write_docstrings(file: Path, most_texts: int = _MOST_TEXTS, packages: Sequence[str] = PACKAGES) -> int:
    """Writes the columns ``text`` and ``package``, unless the file is there. Gives the number of texts."""
    rows = [(text, package) for package in packages for text in _texts(package, most_texts)]
    if not file.exists():
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        with temporary.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(("text", "package"))
            writer.writerows(rows)
        os.replace(temporary, file)
    return len(rows)


def _texts(package: str, most: int) -> list[str]:
    """A package's docstrings, each once, evenly taken from all of its files."""
    unique = list(dict.fromkeys(text for source in _sources(package) for text in _docstrings(source, package)))
    step = max(1, len(unique) // most)
    return unique[::step][:most]


def _sources(package: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        sys.exit(f"{package} is not installed")
    return sorted(Path(found.origin).parent.rglob("*.py"))


def _docstrings(source: Path, package: str) -> Iterator[str]:
    tree = ast.parse(source.read_text(encoding="utf-8", errors="replace"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
            words = re.sub(rf"{package}|tensorflow|\bnp\b|\btf\b|\bsp\b", "", text, flags=re.IGNORECASE).split()
            if len(words) >= _LEAST_WORDS:
                yield " ".join(words[:_MOST_WORDS])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{write_docstrings(Path(sys.argv[1])):,} docstrings of {len(PACKAGES)} packages in {sys.argv[1]}")
