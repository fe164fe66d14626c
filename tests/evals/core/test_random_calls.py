from __future__ import annotations

import random
from typing import Any

import pytest

from common.records import Tool
from envs.contract.call_schema import first_error
from evals.core.random_calls import random_call

SCHEMAS: dict[str, dict[str, Any]] = {
    "no bounds": {"type": "integer"},
    "a large least": {"type": "integer", "minimum": 40},
    "a negative largest": {"type": "number", "maximum": -3},
    "both": {"type": "integer", "minimum": 7, "maximum": 7},
    "a long list": {"type": "array", "items": {"type": "boolean"}, "minItems": 5},
    "a choice": {"enum": ["a", "b"]},
    "a number or nothing": {"type": ["number", "null"], "minimum": 30},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_random_call_fits_its_schema(name: str) -> None:
    schema = {"type": "object", "properties": {"x": SCHEMAS[name]}, "required": ["x"], "additionalProperties": False}
    tool = Tool(name="f", description="", parameters=schema)
    for seed in range(50):
        call = random_call(random.Random(seed), (tool,), {})
        assert first_error(tool, call.arguments) is None, call
