"""Calls at random: each argument a value that its schema takes, as far as a schema says so simply."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from common.records import Tool
from envs.contract.calls import Call

TEXT = "none"
"""The value of a text of any form."""
LONGEST_LIST, SPAN = 3, 20


def random_call(rng: random.Random, tools: tuple[Tool, ...], known: Mapping[str, Any]) -> Call:
    """A call of one of the tools. Arguments that `known` names, such as ids, have its values."""
    tool = rng.choice(tools)
    schemas = tool.parameters["properties"]
    optional = [name for name in schemas if name not in tool.parameters["required"] and rng.random() < 0.5]
    chosen = {name: schema for name, schema in schemas.items() if name not in optional}
    values = {name: known.get(name) or _value(rng, schema) for name, schema in chosen.items()}
    return Call(name=tool.name, arguments=values)


def _value(rng: random.Random, schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return rng.choice(schema["enum"])
    types = schema.get("type")
    match types[0] if isinstance(types, list) else types:
        case "boolean":
            return rng.random() < 0.5
        case "integer":
            return rng.randint(*_range(schema))
        case "number":
            return round(rng.uniform(*_range(schema)), 1)
        case "array":
            least = schema.get("minItems", 0)
            most = max(least, min(LONGEST_LIST, schema.get("maxItems", LONGEST_LIST)))
            return [_value(rng, schema["items"]) for _ in range(rng.randint(least, most))]
    return TEXT


def _range(schema: Mapping[str, Any]) -> tuple[Any, Any]:
    """The least and the largest; from 0 to SPAN where the schema says nothing, or SPAN further where that is none."""
    most = schema.get("maximum")
    least = schema.get("minimum", 0 if most is None else min(0, most))
    return least, most if most is not None else SPAN if least < SPAN else least + SPAN
