"""YAML as specs have it: of two equal keys none is lost, and 1e-3 is a number."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from tuner.errors import Problem, SpecError

_MERGE = "tag:yaml.org,2002:merge"
_FLOAT = "tag:yaml.org,2002:float"
# YAML 1.1, which PyYAML reads, takes it for text where there is no point, or no sign in the exponent.
_WITH_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_COMPARISON_SIGNS = ("<", ">", "=")


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: of two values, one would be lost without a word."""

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
        SpecError: it is not YAML, or a key stands twice in one place.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    # A date that no calendar has is a ValueError.
    except (yaml.YAMLError, ValueError) as error:
        said = f"the {'value' if key else 'text'} is not YAML: {' '.join(str(error).split())}"
        raise SpecError(source, [Problem(key, said)]) from None


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
