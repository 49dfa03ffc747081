"""Writes made-up card transactions, 3 in 100 of them fraudulent, as a CSV file.

usage: python write_transactions.py FILE.csv

Fraud here is what it is in real data: not one sign but several weak ones together, some of which are missing.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_ROWS = 6000
_SHARE = 0.03
COLUMNS = ("amount", "hour", "merchant", "country", "days_since_last", "distance_km", "card_age_days", "pin", "fraud")
_MERCHANTS = ("groceries", "fuel", "restaurant", "travel", "electronics", "gift cards", "pharmacy", "online games")
_COUNTRIES = ("DE", "FR", "NL", "PL", "ES", "US", "BR", "NG", "VN", "KY")


def write_transactions(file: Path, rows: int = _ROWS, seed: int = 0) -> int:
    """Writes them, unless the file is there. Gives their number."""
    if not file.exists():
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        with temporary.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(COLUMNS)
            writer.writerows(_transactions(rows, np.random.default_rng(seed)))
        os.replace(temporary, file)
    return rows


def _transactions(rows: int, random: np.random.Generator) -> Iterator[tuple[object, ...]]:
    usual = np.array([30, 12, 18, 5, 8, 2, 15, 10]) / 100
    suspicious = np.array([8, 8, 6, 14, 26, 20, 4, 14]) / 100
    near = np.array([60, 10, 10, 8, 6, 3, 1, 1, 0.5, 0.5]) / 100
    far = np.array([25, 8, 8, 8, 8, 15, 10, 8, 6, 4]) / 100
    for _ in range(rows):
        fraud = random.random() < _SHARE
        distance = random.lognormal(4.2 if fraud else 2.2, 1.3)
        pause = random.exponential(0.4 if fraud else 2.5)
        yield (
            f"{random.lognormal(4.6 if fraud else 3.4, 1.0):.2f}",
            int(random.normal(2, 4) % 24) if fraud and random.random() < 0.6 else int(random.normal(14, 4) % 24),
            random.choice(_MERCHANTS, p=suspicious if fraud else usual),
            random.choice(_COUNTRIES, p=far if fraud else near),
            "" if random.random() < 0.05 else f"{pause:.3f}",
            "" if random.random() < (0.3 if fraud else 0.1) else f"{distance:.1f}",
            int(random.exponential(500 if fraud else 900)),
            "no" if random.random() < (0.7 if fraud else 0.4) else "yes",
            "yes" if fraud else "no",
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{write_transactions(Path(sys.argv[1])):,} transactions in {sys.argv[1]}")
