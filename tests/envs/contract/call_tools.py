"""Two tools, and calls of them as texts."""

from __future__ import annotations

from typing import get_args

from common.records import Tool
from envs.contract.calls import Syntax

SYNTAXES: tuple[Syntax, ...] = get_args(Syntax)
LOOK = Tool(
    name="look",
    description="Shows a\n record.",
    parameters={
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[A-Z][0-9]$"},
            "depth": {"type": "integer", "minimum": 0, "maximum": 3},
            "parts": {"type": "array", "items": {"enum": ["head", "foot"]}, "maxItems": 2},
            "filter": {"type": "object"},
            "weight": {"type": "number", "exclusiveMinimum": 0},
            "deep": {"type": ["boolean", "null"]},
        },
        "required": ["id"],
    },
)
ANSWER = Tool(name="answer", description="", parameters={"type": "object", "properties": {"value": {}}})
TOOLS = (LOOK, ANSWER)


def short(text: str) -> str:
    """The name of a case."""
    return ascii(text)[:40]


def hermes(payload: str) -> str:
    """A call in Hermes' form."""
    return f"<tool_call>{payload}</tool_call>"
