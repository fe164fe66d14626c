"""YAML as specs are written in it: a key stands once, `yes` and `off` are words, and so is a date.

The words of YAML 1.1 for true and false would make `steps: yes` 1 and `lora_rank: off` 0, its `010` is 8 and its `1:30`
is 90. Here they are text, as in an environment variable, and the field that they are for says what it takes. PyYAML
writes each of these in quotes, so what it wrote is read back unchanged.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

NULLS = ("null", "Null", "NULL", "~")
"""How YAML spells nothing; flags and variables spell it alike."""

DEEPEST = 100
"""Levels of nesting that are read, far more than a spec has; PyYAML recurses, and its time grows with their square."""
MOST_VALUES = 100_000
"""Keys and values that are read, those that an alias repeats included: a few lines of aliases could mean billions."""

_PLAIN = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?|[-+]?\.[0-9]+([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    ("tag:yaml.org,2002:merge", r"<<", ["<"]),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    _depth = 0

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._measures: dict[yaml.Node, tuple[int, int]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse what is nested too deeply, or grows too large where its anchors are written out."""
        if self._depth == DEEPEST:
            raise _too_deep()
        self._depth += 1
        is_alias = self.check_event(yaml.AliasEvent)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if not is_alias:
            self._measures[node] = self._measured(node)
        levels, values = self._measures.get(node, (DEEPEST, 0))  # an alias within what it names has no end
        if self._depth + levels > DEEPEST:
            raise _too_deep()
        if values > MOST_VALUES:
            raise ValueError(f"it is too large: more than {MOST_VALUES} values with those that its anchors repeat")
        return node

    def _measured(self, node: Any) -> tuple[int, int]:
        """Its levels and values, aliases written out."""
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        within = [self._measures[one] for part in parts for one in (part if isinstance(part, tuple) else (part,))]
        return 1 + max((levels for levels, _ in within), default=0), 1 + sum(values for _, values in within)

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Refuse a key that stands twice; what `<<` brings in may be written again."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                line, name = key.start_mark.line + 1, (key.tag, key.value)
                if name in lines:
                    raise ValueError(f"{key.value}: stands twice (lines {lines[name]} and {line})")
                lines[name] = line
        return node


def _too_deep() -> ValueError:
    return ValueError(f"it is nested too deeply: more than {DEEPEST} levels")


for tag, pattern, first in _PLAIN:
    _Loader.add_implicit_resolver(tag, re.compile(f"^(?:{pattern})$"), first)


def parse_yaml(text: str) -> Any:
    """What a YAML document says. Raises ValueError, one line, for what is no YAML and for a key that stands twice."""
    try:
        return yaml.load(text, _Loader)  # a SafeLoader: it makes nothing but plain values
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
    except (LookupError, AttributeError, OverflowError, TypeError):  # PyYAML, of a tag that does not fit its value
        raise ValueError("not YAML: a tag (!!...) does not fit its value; leave tags out") from None
