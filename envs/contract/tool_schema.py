"""How a game writes its tools: the schema of their arguments."""

from __future__ import annotations

from typing import Any

from common.records import Tool


def tool(name: str, description: str, optional: tuple[str, ...] = (), **properties: dict[str, Any]) -> Tool:
    """A tool whose arguments are these properties, all required but the optional ones."""
    return Tool(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": properties,
            "required": [key for key in properties if key not in optional],
            "additionalProperties": False,
        },
    )


def one_of(names: tuple[str, ...]) -> dict[str, Any]:
    """The schema of one of these texts."""
    return {"type": "string", "enum": list(names)}
