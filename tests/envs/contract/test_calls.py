from __future__ import annotations

import json
from typing import Any

import pytest

from common.records import Tool
from envs.contract.calls import Call, Fault, FaultCode, Syntax, parse, render, signature
from tests.envs.contract.call_tools import ANSWER, LOOK, SYNTAXES, TOOLS, hermes, short


def call_of(reply: str, syntax: Syntax = "python") -> Call:
    found = parse(reply, TOOLS, syntax)
    assert isinstance(found, Call), found
    return found


def fault_of(reply: str, syntax: Syntax = "python") -> Fault:
    found = parse(reply, TOOLS, syntax)
    assert isinstance(found, Fault), found
    assert found.text.isprintable() and len(found.text) < 400
    return found


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('look(id="A7")', {"id": "A7"}),
        ("look( id = 'A7', depth=2 )", {"id": "A7", "depth": 2}),
        ('look(id="A7", parts=["head", "foot"], weight=0.5)', {"id": "A7", "parts": ["head", "foot"], "weight": 0.5}),
        ('look(id="A7", filter={"a": [1, {"b": None}]})', {"id": "A7", "filter": {"a": [1, {"b": None}]}}),
        ('look(id="A7", deep=True)', {"id": "A7", "deep": True}),
        (r'answer(value="a \"b\" (c) \\ é\n")', {"value": 'a "b" (c) \\ é\n'}),
        ("answer(value=-3)", {"value": -3}),
        ("answer(value=-1.5e3)", {"value": -1500.0}),
        ("answer(value=[])", {"value": []}),
        ("answer()", {}),
        (r"answer(value='\d')", {"value": "\\d"}),
        ('answer(value="it\'s (")', {"value": "it's ("}),
    ],
)
def test_a_call_is_a_name_and_literals(line: str, arguments: dict[str, Any]) -> None:
    found = call_of(line)
    assert found.name == line.partition("(")[0] and found.arguments == arguments and found.text_before == ""


def test_the_call_is_on_the_last_line_that_is_not_empty_and_the_text_before_is_kept() -> None:
    found = call_of('\nI look (at A7).\nIt may be look(id="A7") or not:\n\n  look(id="A7")  \r\n\n')
    assert found == Call(
        name="look", arguments={"id": "A7"}, text_before='I look (at A7).\nIt may be look(id="A7") or not:'
    )


def test_a_hermes_call_is_json_between_tags() -> None:
    found = call_of(
        'So:\n<tool_call>\n{"name": "look", "arguments": {"id": "A7", "depth": 1}}\n</tool_call>\n', "hermes"
    )
    assert found == Call(name="look", arguments={"id": "A7", "depth": 1}, text_before="So:")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("", "no_call"),
        (" \n ", "no_call"),
        ("It is the left one.", "no_call"),
        ("I do look(id='A7')", "no_call"),
        ("A note (of two).", "no_call"),
        ('<tool_call>{"name": "answer", "arguments": {}}</tool_call>', "no_call"),
        ("answer()\nanswer()", "two_calls"),
        ("answer()\n\nI think.\nanswer(value=1)", "two_calls"),
        ("answer() answer()", "two_calls"),
        ("answer(), answer()", "two_calls"),
        ("answer(); answer()", "two_calls"),
        ("answer()\nanswer(value=", "two_calls"),
        ("answer()\nThat is all.", "text_after"),
        ("```\nanswer()\n```", "text_after"),
        ("answer() # why", "text_after"),
        ("answer().", "text_after"),
        ("answer()()", "text_after"),
        ("answer() # (", "text_after"),
        ("answer(value=1", "unclosed"),
        ('answer(value="1)', "unclosed"),
        ("answer(\nvalue=1\n)", "unclosed"),
        (f"answer(value='{'a' * 2048}')", "too_long"),
        (f"answer(value='{'é' * 1020}')", "too_long"),
        ("answer(value=[[[[]]]])", "too_deep"),
        ("answer(value=[[[{}]]])", "too_deep"),
        ("answer(value=)", "syntax"),
        ("answer(value=[})", "syntax"),
        ("answer(value=[}])", "text_after"),
        ("answer(1)", "syntax"),
        ("answer(*[1])", "syntax"),
        ("answer(**{})", "syntax"),
        ("answer(value=007)", "syntax"),
        ("answer(ｖalue=1)", "syntax"),
        ("answer(value=1,\x00)", "syntax"),
        ("answer(value='\ud800')", "syntax"),
        ("answer(value=true)", "value"),
        ("answer(value=x)", "value"),
        ("answer(value=1+1)", "value"),
        ("answer(value=look(id='A7'))", "value"),
        ("answer(value=f'{1}')", "value"),
        ("answer(value=b'1')", "value"),
        ("answer(value=(1, 2))", "value"),
        ("answer(value={1, 2})", "value"),
        ("answer(value={1: 2})", "value"),
        ("answer(value={**{}})", "value"),
        ("answer(value=1j)", "value"),
        ("answer(value=...)", "value"),
        ("answer(value=--1)", "value"),
        ("answer(value=-True)", "value"),
        ("answer(value=1e999)", "value"),
        (f"answer(value={2**63})", "value"),
        (f"answer(value=-{'9' * 2000})", "value"),
        (r"answer(value='\ud800')", "value"),
        ("answer(value=1, value=2)", "repeated"),
        ("answer(value={'a': 1, 'a': 1})", "repeated"),
        ("find(id='A7')", "unknown_tool"),
        ("look()", "arguments"),
        ("look(id='A7', at=1)", "arguments"),
        ("look(id='A7', depth=1.0)", "arguments"),
        ("look(id='A7', depth=True)", "arguments"),
    ],
    ids=short,
)
def test_what_is_not_one_call_is_a_fault_with_a_code(reply: str, code: str) -> None:
    assert fault_of(reply).code == code


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("answer()", "no_call"),
        ("</tool_call>", "no_call"),
        (hermes('{"name": "answer", "arguments": {}}') * 2, "two_calls"),
        ("<tool_call><tool_call>", "two_calls"),
        (hermes('{"name": "answer", "arguments": {"value": "<tool_call>"}}'), "two_calls"),
        (hermes('{"name": "answer", "arguments": {}}') + " so", "text_after"),
        (hermes('{"name": "answer", "arguments": {}}') + "</tool_call>", "text_after"),
        ('<tool_call>{"name": "answer", "arguments": {}}', "unclosed"),
        (hermes(json.dumps({"name": "answer", "arguments": {"value": "a" * 2048}})), "too_long"),
        (hermes('{"name": "answer", "arguments": {"value": [[[[]]]]}}'), "too_deep"),
        (hermes('{"a":' * 300), "too_deep"),
        ("</tool_call>" + hermes('{"name": "answer", "arguments": {}}'), "syntax"),
        (hermes(""), "syntax"),
        (hermes("answer()"), "syntax"),
        (hermes('{"name": "answer"}'), "syntax"),
        (hermes('{"name": "answer", "arguments": "{}"}'), "syntax"),
        (hermes('{"name": "answer", "arguments": {}, "id": 1}'), "syntax"),
        (hermes('{"name": "answer", "arguments": {"value": NaN}}'), "value"),
        (hermes('{"name": "answer", "arguments": {"value": 1e999}}'), "value"),
        (hermes(f'{{"name": "answer", "arguments": {{"value": {"9" * 1900}}}}}'), "value"),
        (hermes(r'{"name": "answer", "arguments": {"value": ["\ud800"]}}'), "value"),
        (hermes(r'{"name": "answer", "arguments": {"\ud800": 1}}'), "value"),
        (hermes(r'{"name": "\ud800", "arguments": {}}'), "value"),
        (hermes(r'{"\ud800": 1, "\ud800": 1}'), "value"),
        (hermes('{"name": "answer", "arguments": {"value": 1, "value": 1}}'), "repeated"),
        (hermes('{"name": "find", "arguments": {}}'), "unknown_tool"),
        (hermes('{"name": "look", "arguments": {}}'), "arguments"),
    ],
    ids=short,
)
def test_what_is_not_one_hermes_call_is_a_fault_with_a_code(reply: str, code: str) -> None:
    assert fault_of(reply, "hermes").code == code


def test_every_code_is_that_of_some_reply() -> None:
    tests = (test_what_is_not_one_call_is_a_fault_with_a_code, test_what_is_not_one_hermes_call_is_a_fault_with_a_code)
    for test in tests:
        (mark,) = test.pytestmark  # type: ignore[attr-defined]
        assert {code for _, code in mark.args[1]} == set(FaultCode)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            "Hello",
            "There is no call. End your reply with one call on a line of its own: "
            "look(id=..., depth=..., parts=..., filter=..., weight=..., deep=...)",
        ),
        ("lok(id='A7')", "There is no tool 'lok'. Call one of: look, answer"),
        ("look()", "look needs id."),
        ("look(id='A7', at=1)", "look takes id, depth, parts, filter, weight, deep, not 'at'."),
        ("answer(at=1)", "answer takes value, not 'at'. answer is called as answer(value?: any)"),
        ("look(id=7)", "id must be string ^[A-Z][0-9]$."),
        ("look(id='a7')", "id must be a text of the pattern ^[A-Z][0-9]$."),
        ("look(id='A7', depth='1')", "depth must be integer 0 to 3."),
        ("look(id='A7', depth=4)", "depth must be at most 3."),
        ("look(id='A7', parts=['head', 'arm'])", 'parts[1] must be "head" | "foot".'),
        ("look(id='A7', parts='head')", 'parts must be list of "head" | "foot".'),
        ("look(id='A7', weight=0)", "weight must be more than 0."),
        ("look(id='A7', deep=1)", "deep must be boolean | null."),
    ],
)
def test_a_fault_says_what_to_write_instead(reply: str, text: str) -> None:
    assert fault_of(reply).text.startswith(text)


def test_a_fault_of_arguments_shows_the_call_in_the_syntax_of_the_run() -> None:
    assert fault_of("look(id=7)").text.endswith(
        'look is called as look(id: string ^[A-Z][0-9]$, depth?: integer 0 to 3, parts?: list of "head" | "foot", '
        "filter?: object, weight?: number, deep?: boolean | null)"
    )
    text = fault_of(hermes('{"name": "answer", "arguments": {"at": 1}}'), "hermes").text
    assert text.endswith('<tool_call>{"name": "answer", "arguments": {"value": ...}}</tool_call>')


def test_a_schema_without_words_of_its_own_still_gives_a_fault() -> None:
    odd = Tool(name="odd", description="", parameters={"properties": {"id": {"not": {"type": "string"}}}})
    found = parse("odd(id='A7')", (odd,))
    assert isinstance(found, Fault) and found.text.startswith("id is not what its schema asks for.")


def test_a_signature_is_one_line() -> None:
    assert signature(LOOK) == (
        'look(id: string ^[A-Z][0-9]$, depth?: integer 0 to 3, parts?: list of "head" | "foot", filter?: object, '
        "weight?: number, deep?: boolean | null)  Shows a record."
    )
    assert signature(ANSWER) == "answer(value?: any)"
    shown = signature(LOOK, "hermes")
    assert "\n" not in shown and json.loads(shown)["function"]["parameters"] == LOOK.parameters


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        (Tool(name="look at", description="", parameters={}), "'look at' cannot be written in a call"),
        (
            Tool(name="look", description="", parameters={"properties": {"from": {}}}),
            "'from' cannot be written in a call",
        ),
        (Tool(name="look", description="", parameters={"properties": {"ｉd": {}}}), "'ｉd' cannot be written"),
        (
            Tool(name="look", description="", parameters={"properties": {"id": {"type": "text"}}}),
            r"tool 'look': parameters.properties.id.type: 'text' is not valid",
        ),
        (
            Tool(name="look", description="", parameters={"properties": {"id": {"pattern": "("}}}),
            r"tool 'look': parameters.properties.id.pattern: '\(' is not a 'regex'",
        ),
        (
            Tool(name="look", description="", parameters={"type": "string"}),
            "parameters must be a schema of type object",
        ),
    ],
)
def test_a_tool_that_cannot_be_called_is_refused_when_it_is_shown(tool: Tool, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        signature(tool)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_call_in_one_syntax_is_none_in_the_other(syntax: Syntax) -> None:
    other: Syntax = "hermes" if syntax == "python" else "python"
    assert fault_of(render(Call(name="answer", arguments={"value": 1}), syntax), other).code == FaultCode.NO_CALL


def test_a_name_that_python_cannot_write_is_refused_when_rendered() -> None:
    with pytest.raises(ValueError, match="'class' cannot be written in a call"):
        render(Call(name="answer", arguments={"class": 1}))
    assert call_of(render(Call(name="answer", arguments={"value": {"class": 1}}))).arguments == {"value": {"class": 1}}
