"""Calls: the last thing in a reply, read as one tool with its arguments.

Two syntaxes, of which a run uses one. `python`: free text, then on the last line that is not empty one call with named
literals, `look(id="7", deep=True)`. `hermes`: free text, then JSON between tags, as models of that school were taught:
`<tool_call>{"name": "look", "arguments": {"id": "7"}}</tool_call>`.

A reply has one reading or none. Serving engines differ in what they accept: one bad call voids all, text after a call
is lost, an open tag counts. Here two calls, text after a call and an open tag are faults, each with its own code. A
fault is an observation for the model, with a line that says what to write instead.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any, Literal

from common.records import Record, Tool
from envs.contract import call_schema
from envs.contract.call_text import (
    CLOSE,
    OPEN,
    FaultCode,
    Read,
    Refused,
    literal,
    read_hermes,
    read_python,
    shown,
    without_tags,
)

__all__ = ["Call", "Fault", "FaultCode", "Syntax", "parse", "render", "signature"]

Syntax = Literal["python", "hermes"]
_READERS = {"python": read_python, "hermes": read_hermes}
_ENDINGS = {
    "python": "End your reply with one call on a line of its own: {example}",
    "hermes": "End your reply with one call: {example}",
}


class Call(Record):
    """A tool's name, arguments that fit its schema, and the text before the call, without blanks around it."""

    name: str
    arguments: dict[str, Any]
    text_before: str = ""


class Fault(Record):
    """Why a reply is no call, and what the model is told about it, in one line."""

    code: FaultCode
    text: str


def parse(reply: str, tools: Sequence[Tool], syntax: Syntax = "python") -> Call | Fault:
    """The call that ends a reply. Total: it raises nothing, whatever the reply is.

    The call itself has at most 2 KiB of UTF-8, and lists and objects at most three deep. A tool's schema is our own:
    its patterns must not be ones that take exponential time.
    """
    assert tools
    try:
        read = _READERS[syntax](reply, frozenset(tool.name for tool in tools))
        _check(read, tools, syntax)
    except Refused as refused:
        ending = _ENDINGS[syntax].format(example=_example(tools[0], syntax))
        return Fault(code=refused.code, text=f"{refused} {refused.instead or ending}")
    return Call(name=read.name, arguments=read.arguments, text_before=read.text_before)


def render(call: Call, syntax: Syntax = "python") -> str:
    """A reply that `parse` reads as this call, within its bounds and if `text_before` holds no other call.

    Raises ValueError for names that the syntax cannot write, and for values that JSON cannot hold.
    """
    return f"{call.text_before}\n{_written(call, syntax)}".lstrip()


def signature(tool: Tool, syntax: Syntax = "python") -> str:
    """The line that describes a tool in a prompt: `look(id: string, deep?: boolean)  What it does`, or its JSON.

    Raises ValueError for a tool that cannot be called: its parameters are no schema of an object, or this
    syntax cannot write one of its names.
    """
    call_schema.check_tool(tool)
    if syntax == "hermes":
        function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        return json.dumps({"type": "function", "function": function}, ensure_ascii=False)
    for name in (tool.name, *tool.parameters.get("properties", {})):
        _check_name(name)
    return f"{call_schema.form(tool)}  {' '.join(tool.description.split())}".rstrip()


def _check(read: Read, tools: Sequence[Tool], syntax: Syntax) -> None:
    tool = next((tool for tool in tools if tool.name == read.name), None)
    if tool is None:
        name = shown(read.name)
        names = difflib.get_close_matches(name, [tool.name for tool in tools], n=5, cutoff=0.0)
        raise Refused(FaultCode.UNKNOWN_TOOL, f"There is no tool {name!r}.", f"Call one of: {', '.join(names)}")
    if error := call_schema.first_error(tool, read.arguments):
        form = call_schema.form(tool) if syntax == "python" else _example(tool, syntax)
        raise Refused(FaultCode.ARGUMENTS, f"{error}.", f"{tool.name} is called as {form}")


def _example(tool: Tool, syntax: Syntax) -> str:
    keys = tool.parameters.get("properties", {})
    if syntax == "python":
        return f"{tool.name}({', '.join(f'{key}=...' for key in keys)})"
    arguments = ", ".join(f"{json.dumps(key, ensure_ascii=False)}: ..." for key in keys)
    return f'{OPEN}{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": {{{arguments}}}}}{CLOSE}'


def _written(call: Call, syntax: Syntax) -> str:
    if syntax == "python":
        for name in (call.name, *call.arguments):
            _check_name(name)
        return f"{call.name}({', '.join(f'{key}={literal(value)}' for key, value in call.arguments.items())})"
    payload = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False, allow_nan=False)
    return f"{OPEN}\n{without_tags(payload)}\n{CLOSE}"


def _check_name(name: str) -> None:
    if not call_schema.is_name(name):
        raise ValueError(
            f"{name!r} cannot be written in a call: take ASCII letters, digits and _, and no word of Python's"
        )
