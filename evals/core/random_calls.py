"""Calls at random: each argument a value that its schema takes, as far as a schema says so simply."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from common.records import Tool
from envs.contract.calls import Call

TEXT = "none"
"""The value of a text of any form."""
LONGEST_LIST = 3


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
            return rng.randint(schema.get("minimum", 0), schema.get("maximum", 20))
        case "number":
            return round(rng.uniform(schema.get("minimum", 0), schema.get("maximum", 20)), 1)
        case "array":
            count = rng.randint(schema.get("minItems", 0), min(LONGEST_LIST, schema.get("maxItems", LONGEST_LIST)))
            return [_value(rng, schema["items"]) for _ in range(count)]
    return TEXT
