"""The two syntaxes of a call: from a reply to a name and arguments, within bounds and with one reading each."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from common.records import Record

MOST_BYTES = 2048
_MOST_DEPTH = 4  # brackets: the call's own and three within
_BOUND = 2**63
OPEN, CLOSE = "<tool_call>", "</tool_call>"
_BEGINS = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")
# Texts are passed over whole, an open one up to the end; a backslash takes the next character with it.
_PYTHON_MARKS = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\])*(\1|\\?\Z)|[()\[\]{}]""", re.DOTALL)
_JSON_MARKS = re.compile(r'(")(?:\\.|[^"\\])*("|\\?\Z)|[()\[\]{}]', re.DOTALL)


class FaultCode(StrEnum):
    """Why a reply is no call."""

    NO_CALL = "no_call"
    TWO_CALLS = "two_calls"
    TEXT_AFTER = "text_after"
    UNCLOSED = "unclosed"  # a bracket, a quote or a tag
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    SYNTAX = "syntax"
    VALUE = "value"  # an argument is no literal, or JSON cannot hold it
    REPEATED = "repeated"  # a key is given twice
    UNKNOWN_TOOL = "unknown_tool"
    ARGUMENTS = "arguments"  # they do not fit the tool's schema


class Read(Record):
    """What a reply says, before the tools' schemas are asked."""

    name: str
    arguments: dict[str, Any]
    text_before: str


class Refused(Exception):
    """Its text and `instead` are for the model; without `instead` it is shown how a call is written."""

    def __init__(self, code: FaultCode, text: str, instead: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.instead = instead


def read_python(reply: str, names: frozenset[str]) -> Read:
    """The call on the last line that is not empty. Raises Refused; a line is ended by CR, LF or both."""
    body = reply.rstrip()
    cut = max(body.rfind("\n"), body.rfind("\r")) + 1
    before, line = body[:cut].strip(), body[cut:].strip()
    begun = _BEGINS.match(line)
    earlier = [part.strip() for part in re.split(r"[\r\n]+", before)]
    if any(_is_call(part, names) for part in earlier):
        raise _more_than_one() if begun and begun[1] in names else _text_after()
    end = _end(line) if begun else None
    if begun is None or (begun[1] not in names and end != len(line)):
        if any(_begins_call(part, names) for part in earlier):
            raise Refused(FaultCode.UNCLOSED, "The call is spread over lines.")
        raise Refused(FaultCode.NO_CALL, "There is no call.")
    _check_bounds(line, _PYTHON_MARKS, _MOST_DEPTH)
    _check_end(line, end, names)
    return Read(name=begun[1], arguments=_keywords(line, begun[1]), text_before=before)


def _begins_call(line: str, names: frozenset[str]) -> bool:
    begun = _BEGINS.match(line)
    return begun is not None and begun[1] in names


def _is_call(line: str, names: frozenset[str]) -> bool:
    return _begins_call(line, names) and _end(line) == len(line)


def _end(line: str) -> int | None:
    """Where the first bracket is closed again; None too for what is too long to be a call."""
    if len(line) > MOST_BYTES:
        return None
    depth = 0
    for mark in _PYTHON_MARKS.finditer(line):
        depth += (mark[0] in "([{") - (mark[0] in ")]}")
        if depth == 0 and mark[0] in ")]}":
            return mark.end()
    return None


def _depth(text: str, marks: re.Pattern[str]) -> int:
    depth = most = 0
    for mark in marks.finditer(text):
        depth += (mark[0] in "([{") - (mark[0] in ")]}")
        most = max(most, depth)
    return most


def _check_bounds(text: str, marks: re.Pattern[str], most_depth: int) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise Refused(FaultCode.TOO_LONG, f"The call is too long: it may have {MOST_BYTES} bytes.")
    if _depth(text, marks) > most_depth:
        raise Refused(FaultCode.TOO_DEEP, "The call has too many brackets inside each other.")


def _check_end(line: str, end: int | None, names: frozenset[str]) -> None:
    if end is None:
        raise Refused(FaultCode.UNCLOSED, "A bracket or a quote is not closed.")
    if rest := line[end:].strip():
        called = any(found[1] in names for found in _BEGINS.finditer(rest))
        raise _more_than_one() if called else _text_after()


def _more_than_one() -> Refused:
    return Refused(FaultCode.TWO_CALLS, "There are two calls: make one a turn.")


def _text_after() -> Refused:
    return Refused(FaultCode.TEXT_AFTER, "There is text after the call.")


def _keywords(line: str, name: str) -> dict[str, Any]:
    call = _expression(line)
    whole = isinstance(call, ast.Call) and call.end_col_offset == len(line.encode())
    if not (isinstance(call, ast.Call) and whole and isinstance(call.func, ast.Name) and call.func.id == name):
        raise Refused(FaultCode.SYNTAX, "The last line is not one call.")
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise Refused(FaultCode.SYNTAX, "Every argument is written with its name.")
    _check_spelling(line, call.keywords)
    return _object((str(keyword.arg), _value(keyword.value)) for keyword in call.keywords)


def _expression(line: str) -> ast.expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes that Python does not know
        try:
            return ast.parse(line, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise Refused(FaultCode.SYNTAX, "The call cannot be read.") from None


def _check_spelling(line: str, keywords: list[ast.keyword]) -> None:
    """Python takes other letters for ASCII ones in a name (NFKC): two spellings of one key."""
    text = line.encode()
    if not all(text.startswith(str(keyword.arg).encode(), keyword.col_offset) for keyword in keywords):
        raise Refused(FaultCode.SYNTAX, "Names of arguments are written in plain letters.")


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | bool() | int() | float() | None as value):
            return _checked(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if (
            type(value) is not bool
        ):
            return _checked(-value)
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return _object(zip((_key(key) for key in keys), map(_value, values), strict=True))
    raise Refused(
        FaultCode.VALUE, "An argument is a text in quotes, a number, True, False, None, or a list or object of these."
    )


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return str(_checked(node.value))
    raise Refused(FaultCode.VALUE, "The keys of an object are texts in quotes.")


def read_hermes(reply: str, names: frozenset[str]) -> Read:
    """The call between the tags that end the reply. Raises Refused."""
    before, opened, rest = reply.partition(OPEN)
    payload, closed, after = rest.partition(CLOSE)
    if not opened:
        raise Refused(FaultCode.NO_CALL, "There is no call.")
    if OPEN in rest:
        raise _more_than_one()
    if not closed:
        raise Refused(FaultCode.UNCLOSED, f"The tag {OPEN} is not closed.")
    if after.strip():
        raise _text_after()
    if CLOSE in before:
        raise Refused(FaultCode.SYNTAX, f"A tag {CLOSE} closes nothing.")
    _check_bounds(payload.strip(), _JSON_MARKS, _MOST_DEPTH + 1)  # the object around the arguments
    name, arguments = _envelope(_json(payload))
    return Read(name=name, arguments=arguments, text_before=before.strip())


def _json(payload: str) -> Any:
    try:
        return json.loads(payload, object_pairs_hook=_members, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(FaultCode.SYNTAX, "The text between the tags is not JSON.") from None


def _envelope(value: Any) -> tuple[str, dict[str, Any]]:
    match value:
        case {"name": str() as name, "arguments": dict() as arguments} if len(value) == 2:
            return str(_checked(name)), arguments
    raise Refused(FaultCode.SYNTAX, 'Between the tags is an object of "name", a text, and "arguments", an object.')


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """json.loads gives every object to this, from the inside to the outside."""
    return _object((str(_checked(key)), _items(value)) for key, value in pairs)


def _items(value: Any) -> Any:
    return [_items(item) for item in value] if isinstance(value, list) else _checked(value)


def _no_number(text: str) -> Any:
    raise Refused(FaultCode.VALUE, f"{text} is no number.")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise Refused(FaultCode.REPEATED, f"{shown(key)} is given twice.")
        made[key] = value
    return made


def shown(text: str) -> str:
    """What the model wrote, short and on one line, for what it is told."""
    return "".join(letter for letter in text[:40] if letter.isprintable())


def _checked(value: Any) -> Any:
    """What records, logs and tokenizers can hold: UTF-8, integers of 64 bits, finite numbers."""
    if isinstance(value, int) and not -_BOUND <= value < _BOUND:
        raise Refused(FaultCode.VALUE, "An integer has too many digits.")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(FaultCode.VALUE, "A number is too large.")
    if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
        raise Refused(FaultCode.VALUE, "A text has half of a character.")
    return value


def literal(value: Any) -> str:
    """As Python writes it, texts in double quotes. JSON's escapes are Python's."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
    return repr(value)


def without_tags(payload: str) -> str:
    """JSON with the tags in its texts escaped: they would end the call or begin another."""
    for tag in (OPEN, CLOSE):
        payload = payload.replace(tag, f"\\u003c{tag[1:]}")
    return payload
