"""YAML as specs have it: of two equal keys none is lost, and 1e-3 is a number."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from tuner.errors import Problem, SpecError
from tuner.spec.bounds import Counted, TooMuch, check_size

_MERGE = "tag:yaml.org,2002:merge"
_FLOAT = "tag:yaml.org,2002:float"
# YAML 1.1, which PyYAML reads, takes it for text where there is no point, or no sign in the exponent.
_WITH_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_COMPARISON_SIGNS = ("<", ">", "=")


# The one in C is ten times as fast. Both are made from the same class of Python.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """Refuses a key that stands twice: of two values, one would be lost without a word."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError) as error:
            # A date that no calendar has, or a tag such as !!bool before something else.
            said = str(error) if isinstance(error, ValueError) else f"this is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = key_node.value if key_node.tag == _MERGE else self.construct_object(key_node, deep=True)
            # The loader itself says where a key is that is no plain value.
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is given twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes that the loader would read as a number, and every comparison."""


for _each in (_Loader, _Dumper):
    _each.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, list("-+.0123456789"))


def _written_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Only `> 1` needs quotes, but people follow the pattern of `< 1`, which is therefore in quotes too.
    style = '"' if text.startswith(_COMPARISON_SIGNS) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _written_text)


def parse_yaml(text: str, source: str, key: str = "") -> Any:
    """What a YAML text says.

    Args:
        source: named in errors.
        key: the key whose value it is, if it is one.

    Raises:
        SpecError: it is not YAML, a key stands twice in one place, or it is beyond the bounds of ``tuner.spec.bounds``.
    """
    try:
        check_size(text)
        _check_events(text)
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except TooMuch as error:
        raise SpecError(source, [Problem(key, str(error))]) from None
    # A lone surrogate is a ValueError.
    except (yaml.YAMLError, ValueError) as error:
        said = f"the {'value' if key else 'text'} is not YAML: {_said(error)}"
        raise SpecError(source, [Problem(key, said)]) from None


def _check_events(text: str) -> None:
    """Holds a text to the bounds before anything is built of it, each alias counted as what it stands for.

    Raises:
        TooMuch, yaml.YAMLError, UnicodeEncodeError: it is beyond them, or no YAML.
    """
    counted = Counted()
    sizes: dict[str, int] = {}
    # Of each collection that is open, its anchor and how many values there were before it.
    opened: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, _Safe):
        mark: Any = event.start_mark
        counted.line = mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise yaml.composer.ComposerError(
                    None, None, f"the alias *{event.anchor} stands for nothing, or for what it is in", mark
                )
            counted.add(sizes[event.anchor], len(opened))
        elif isinstance(event, yaml.ScalarEvent):
            counted.add(1, len(opened))
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, counted.values))
            sizes.pop(event.anchor or "", None)
            counted.add(1, len(opened))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor:
                sizes[anchor] = counted.values - before


def _said(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return f"character {error.start + 1} is half of a surrogate pair, which is no text"
    return " ".join(str(error).split())


def in_one_line(value: Any) -> str:
    """A value as YAML without line ends."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("\n").removesuffix("\n...")


def as_yaml(value: Any) -> str:
    """A mapping as YAML for people to read and to change; its innermost mappings and lists stand on one line each."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=None, sort_keys=False, allow_unicode=True, width=100
    )
    return text
