"""The page about a study as its tests read it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

SECTIONS = ["champion", "history", "importances", "parallel", "slices", "curves", "timeline", "outcomes", "failures"]


class ReportPage(HTMLParser):
    """Tags with their attributes, and the figures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        found = re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)
        assert found
        self.figures: dict[str, Any] = json.loads(found[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def sections(self) -> list[str | None]:
        return [attributes.get("id") for tag, attributes in self.tags if tag == "section"]
