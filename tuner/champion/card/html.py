"""A model card as a part of the page: Markdown without HTML or links, its pictures within it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

# The page's own headings come before the card's.
_DEEPER, _DEEPEST = 2, 6


def shown_card(text: str, pictures: Mapping[str, str]) -> Markup:
    """The card's HTML, which loads nothing.

    Args:
        text: the card, from anywhere: what is not plain Markdown is shown as the text that it is.
        pictures: SVG by the name that the card has for it. A browser runs nothing in a picture. Others are left out.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "autolink"])

    def picture(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        words = escape(token.content)
        drawn = pictures.get(str(token.attrGet("src")))
        if drawn is None:
            return str(words)
        data = base64.b64encode(drawn.encode("utf-8", "backslashreplace")).decode("ascii")
        return f'<img class="picture" alt="{words}" src="data:image/svg+xml;base64,{data}">'

    reader.add_render_rule("image", picture)
    tokens = reader.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_DEEPEST, int(token.tag[1:]) + _DEEPER)}"
        # A wide table scrolls by itself.
        if token.type == "table_open":
            token.attrSet("tabindex", "0")
    return Markup(reader.renderer.render(tokens, reader.options, {}))
