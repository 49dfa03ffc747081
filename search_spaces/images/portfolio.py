"""What a search among models of images begins with: the cheapest first, each of another kind.

``scripts/bench/run champions --configurations`` says what each is worth. Photographs may be flipped, and digits and
letters may not: the second configuration finds out, and does no harm if there is time for the first alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"family": "plain", "blocks": 2},
    {"family": "plain", "blocks": 2, "flip": "horizontal"},
    {"family": "residual", "flip": "horizontal"},
    {"family": "plain", "blocks": 2, "width": 48, "flip": "horizontal"},
    {"family": "plain", "blocks": 3, "width": 48, "flip": "horizontal", "mixing": "cutmix"},
)
