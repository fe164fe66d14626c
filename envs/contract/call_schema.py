"""A tool's JSON schema (draft 2020-12): what is wrong with arguments, and how a prompt shows it, in words."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators

from common.records import Tool
from envs.contract.call_text import literal, shown

# JSON calls 3.0 an integer; a game would get a float.
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
_Validator = validators.extend(Draft202012Validator, type_checker=_TYPES)
_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "a text of {} characters or more",
    "maxLength": "a text of {} characters or fewer",
    "minItems": "a list of {} items or more",
    "maxItems": "a list of {} items or fewer",
    "multipleOf": "a multiple of {}",
    "pattern": "a text of the pattern {}",
    "uniqueItems": "a list without repetitions",
}


def first_error(tool: Tool, arguments: dict[str, Any]) -> str | None:
    """What is wrong with the arguments, or None. One that the schema does not name is always refused."""
    validator = _Validator({"type": "object", **tool.parameters, "additionalProperties": False})
    errors = sorted(validator.iter_errors(arguments), key=lambda error: (error.json_path, str(error.validator)))
    return _worded(errors[0], tool) if errors else None


def _worded(error: ValidationError, tool: Tool) -> str:
    where = shown(error.json_path.removeprefix("$").removeprefix(".")) or tool.name
    match error.validator:
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return f"{where} needs {', '.join(missing)}"
        case "additionalProperties":
            known = error.schema.get("properties", {})
            extra = next(name for name in error.instance if name not in known)
            return f"{where} takes {', '.join(known) or 'no arguments'}, not {shown(extra)!r}"
    words = _WORDS.get(str(error.validator))
    wanted = words.format(error.validator_value) if words else kind(error.schema)
    return f"{where} is not what its schema asks for" if wanted == "any" else f"{where} must be {wanted}"


def check_tool(tool: Tool) -> None:
    """Raises ValueError, in one line, unless the parameters are a schema of an object."""
    try:
        Draft202012Validator.check_schema(tool.parameters, format_checker=Draft202012Validator.FORMAT_CHECKER)
    except SchemaError as error:
        raise ValueError(f"tool {tool.name!r}: parameters{error.json_path[1:]}: {error.message}") from error
    if tool.parameters.get("type", "object") != "object":
        raise ValueError(f"tool {tool.name!r}: parameters must be a schema of type object, which names the arguments")


def is_name(text: str) -> bool:
    """Whether Python's syntax can name an argument so."""
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def form(tool: Tool) -> str:
    """`name(key: type, optional?: type)`."""
    return f"{tool.name}({', '.join(_parameters(tool))})"


def _parameters(tool: Tool) -> Iterator[str]:
    required = tool.parameters.get("required", ())
    for name, schema in tool.parameters.get("properties", {}).items():
        yield f"{name}{'' if name in required else '?'}: {kind(schema)}"


def kind(schema: Any) -> str:
    """What values a schema takes, in a few words; `any` where it does not say so simply."""
    if not isinstance(schema, dict):
        return "any"
    if "enum" in schema:
        return " | ".join(map(literal, schema["enum"]))
    if "const" in schema:
        return literal(schema["const"])
    types = schema.get("type", "any")
    if isinstance(types, list):
        return " | ".join(types)
    if types == "array":
        return f"list of {kind(schema['items'])}" if "items" in schema else "list"
    return f"{types}{_range(schema)}" + (f" {schema['pattern']}" if "pattern" in schema else "")


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None and most is None:
        return ""
    if least is None or most is None:
        return f" <= {most}" if least is None else f" >= {least}"
    return f" {least} to {most}"
