"""Every text is a call or a fault, and a call that is written reads as itself."""

from __future__ import annotations

import json
import keyword
import string
import warnings
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.records import Tool
from envs.contract.calls import Call, Fault, Syntax, parse, render
from tests.envs.contract.call_tools import SYNTAXES, TOOLS, hermes, short

fragments = st.sampled_from([*"()[]{}\"'\\,=:-#.\n\r\t\x00\x0c\u2028é\ud800", "look", "answer(", "id=", "value="])


words = st.sampled_from(['"""', "<tool_call>", "</tool_call>", '{"name": "answer", "arguments": ', "1e999", "True"])


longer = st.sampled_from(["1", "9" * 400, "null", "f'", "lambda:", "if", "not ", "(" * 90])


all_texts = (
    st.text(max_size=1024)
    | st.text(string.printable, max_size=4096)
    | st.lists(fragments | words | longer).map("".join)
)


def read(reply: str, syntax: Syntax) -> Call | Fault:
    """With every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parse(reply, TOOLS, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(all_texts, all_texts)
def test_i10_every_text_is_a_call_or_a_fault(syntax: Syntax, before: str, inside: str) -> None:
    for text in (
        before,
        f"{before}\nanswer(value={inside})",
        f"{before}<tool_call>{inside}</tool_call>",
        hermes(json.dumps({"name": before[:9], "arguments": {inside[:9]: 1}})),
        hermes(json.dumps({"name": "look", "arguments": {"id": "A7", "parts": {inside[:500]: 1}}})),
        f"answer(value={{{before[:9]!r}: 1, {before[:9]!r}: 2}})",
    ):
        found = read(text, syntax)
        if isinstance(found, Fault):
            assert found.text.isprintable() and len(found.text.encode()) < 600
        else:
            json.dumps(found.arguments, allow_nan=False, ensure_ascii=False).encode()
            assert parse(render(found, syntax), TOOLS, syntax) == found


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    "inside",
    [
        *(
            "(" * 4000,
            "[" * 4000,
            "{" * 4000,
            "-" * 2000 + "1",
            "not " * 500 + "1",
            "lambda:" * 280,
            "'" * 2000,
            '"' * 1999,
        ),
        '"""a"b"""' + "(" * 900 + '"' + ")" * 900 + '""',
        '"""a"b"""' + "[" * 190 + '"' + "]" * 190 + '"""',
        *(
            "\\" * 2001,
            '"\\' * 1000,
            "1_" * 900 + "1",
            "0x" + "f" * 1900,
            "1if 1else 2",
            "'\\d'",
            "1." * 900,
            "a." * 900,
        ),
        *("[" * 3 + "1," * 900 + "]" * 3, "'a' " * 400, "x:=1", "(yield)", "await x", "*a", "**a", "1 is 1", "''()"),
        "9" * 5000,
        "[{'a':" * 600,
    ],
    ids=short,
)
def test_i10_hostile_texts_are_faults_or_calls(syntax: Syntax, inside: str) -> None:
    for text in (f"answer(value={inside})", f"answer({inside})", inside, hermes(inside)):
        assert isinstance(read(text, syntax), (Call, Fault))
    assert isinstance(read(hermes(f'{{"name": "answer", "arguments": {{"value": {inside}}}}}'), syntax), (Call, Fault))


names = st.from_regex(r"[a-z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["<tool_call>", "</tool_call>", '"""', "look(id=1)", "\\", "\r\n", "((((((", "\u2028", "\x00"]
)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)


def nested(depth: int) -> st.SearchStrategy[Any]:
    if depth == 0:
        return scalars
    inner = nested(depth - 1)
    return scalars | st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(
    tool_names=st.lists(names, min_size=1, max_size=3, unique=True),
    arguments=st.dictionaries(names, nested(3), max_size=4),
    before=st.text(string.ascii_letters + " .\n\r,é:)", max_size=40).map(str.strip),
)
def test_i10_a_rendered_call_reads_as_itself(
    syntax: Syntax, tool_names: list[str], arguments: dict[str, Any], before: str
) -> None:
    parameters = {"type": "object", "properties": {key: {} for key in arguments}}
    tools = [Tool(name=name, description="", parameters=parameters) for name in tool_names]
    call = Call(name=tool_names[-1], arguments=arguments, text_before=before)
    reply = render(call, syntax)
    assume(len(reply.encode()) <= 2048)
    found = parse(reply, tools, syntax)
    assert found == call
    assert repr(found) == repr(call), "1, 1.0 and True are equal, and not the same"
