"""Bridge: chat messages to token ids over the turns of an episode. Token in, token out.

What a policy sampled is never tokenised again: not every reply survives decoding and encoding. The prompt of a later
turn is the prompt before it, the sampled ids, and `suffix`: the chat template's own tokens between two turns, the new
messages, and the beginning of the next reply. The model was taught on such prompts only if its template writes a chat
as the concatenation of its turns. `Bridge` proves that when it is made, on chats of its own.

Past turns are never rendered again. Qwen 3's template drops the thinking of past replies, and gives a last reply
without thinking an empty block of it; sampled tokens keep what they have. So the proof uses replies without thinking
that a message follows: the template has to write those as they were sampled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import TemplateError

from common.records import Message

_BREAK = "\u2060"  # word joiner: it has no width
_RESULT = "Result: "

# Templates trim contents or write them as JSON: these have no blanks at their ends, and those shown need no escapes.
_SYSTEM = Message(role="system", content="Answer in short.")
_QUESTION = Message(role="user", content="Which one is it?")
_CALL = Message(role="assistant", content="Let me see.\nlook(id=7)")
_ANSWER = Message(role="assistant", content="This one")
_SHOWN = ("It is the left one.", "There are two of them.")


class Bridge:
    """Messages to token ids, for one tokenizer (of transformers) and its chat template.

    Raises ValueError, in one line that names tokenizer and template, where there is no template, and where plain text
    could become a special token whatever is done. A template that cannot be continued turn by turn still writes the
    prompts of games of one turn: `suffix` raises what the proof found, which warm-up asks before a run begins.
    """

    end_of_turn: int
    """The id that ends a reply in the chat template, such as `<|im_end|>`, `<end_of_turn>` or `<|eot_id|>`, whatever
    the tokenizer's own end is; that one where the template ends a reply with no special token."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        if not tokenizer.chat_template:
            raise ValueError(f"the tokenizer {tokenizer.name_or_path!r} has no chat template: save one with it")
        self._special = _special_tokens(tokenizer)
        self._texts = frozenset(self._special.values())
        self._lengths = sorted({len(text) for text in self._texts})
        self._first = re.compile("|".join(re.escape(first) for first in sorted({text[0] for text in self._texts})))
        self._check_breaks()
        self._tool_role = "tool"
        self._refusal = ""
        self.end_of_turn = self._end_of_a_reply() or tokenizer.eos_token_id
        try:
            self._past_ends = self._ends_before_reply()
            self._prove("user")
            self._tool_role = "tool" if self._accepts_tools() else "user"
        except ValueError as error:
            self._refusal = str(error)

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The ids of an episode's first prompt, up to the beginning of the reply.

        They are those of the tokenizer's own `apply_chat_template`, but for contents that spell a special token: those
        stay text. Raises ValueError for roles in an order that the template refuses.
        """
        chat = [self._entry(message) for message in messages]
        try:
            return tuple(self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False))
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in chat)
            raise ValueError(f"{self._name} refuses messages of the roles {roles}: {error}") from error

    def suffix(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The ids between a sampled reply, which ended with `end_of_turn`, and the next one.

        A reply that a limit cut off has no end and must not be continued. A message of the role `tool` is written as
        the template does, or as a user's that begins with `Result:` where the template has no such role. Raises
        ValueError where it refuses the messages (Gemma's takes one between two replies), and where it cannot be
        continued.
        """
        if self._refusal:
            raise ValueError(self._refusal)
        ids = self.prompt((_QUESTION, _ANSWER, *messages))
        ends = [at for at, token in enumerate(ids) if token == self.end_of_turn]
        return ids[ends[self._past_ends - 1] + 1 :]

    def reply(self, text: str) -> tuple[int, ...]:
        """The ids of a reply that somebody wrote, without its end; a special token that it spells stays text."""
        return self._encode(self._as_text(text))

    def _entry(self, message: Message) -> dict[str, str]:
        if message.role == "tool" and self._tool_role != "tool":
            return {"role": self._tool_role, "content": _RESULT + self._as_text(message.content)}
        return {"role": message.role, "content": self._as_text(message.content)}

    def _as_text(self, content: str) -> str:
        """The content with every special token that it spells broken after its first character."""
        return self._first.sub(lambda found: found.group() + _BREAK * self._spells(content, found.start()), content)

    def _spells(self, content: str, at: int) -> bool:
        return any(content[at : at + length] in self._texts for length in self._lengths)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    @property
    def _name(self) -> str:
        beginning = " ".join(str(self._tokenizer.chat_template).split())[:40]
        return f"the chat template of {self._tokenizer.name_or_path!r} ({beginning} ...)"

    def _check_breaks(self) -> None:
        """Special tokens of one character cannot be broken, and normalised text has other spellings."""
        kept = self._special.keys() & set(self._encode("\n".join(self._as_text(text) for text in self._texts)))
        if readable := kept | _normalised(self._tokenizer):
            raise ValueError(
                f"the tokenizer {self._tokenizer.name_or_path!r} may read its special token "
                f"{self._special[min(readable)]!r} in plain text, so that a tool's result could forge a turn: "
                "give it more than one character and normalized: false"
            )

    def _end_of_a_reply(self) -> int | None:
        """The special token behind a past reply, which a template writes even where it begins new ones otherwise."""
        try:
            whole, reply = self._chat_with_a_reply(), self._encode(_ANSWER.content)
        except ValueError:  # the template refuses such a chat, which the proof says
            return None
        behind = [at + len(reply) for at in range(len(whole)) if whole[at : at + len(reply)] == reply]
        end = next(iter(whole[behind[0] :]), None) if behind else None
        return end if end in self._special else None

    def _ends_before_reply(self) -> int:
        """How many `end_of_turn` `suffix` has to pass: templates end other messages alike."""
        begun = self.prompt((_QUESTION,)) + self._encode(_ANSWER.content)
        whole = self._chat_with_a_reply()
        self._check_same(whole[: len(begun)], begun)
        if whole[len(begun) : len(begun) + 1] != (self.end_of_turn,):
            raise ValueError(f"{self._name} ends a reply with no special token: no reply could say that it is over")
        return begun.count(self.end_of_turn) + 1

    def _chat_with_a_reply(self) -> tuple[int, ...]:
        return self.prompt((_QUESTION, _ANSWER, Message(role="user", content=_SHOWN[0])))

    def _accepts_tools(self) -> bool:
        try:
            self._prove("tool")
        except ValueError:
            return False
        return True

    def _prove(self, role: str) -> None:
        """Three turns with messages of that role: the template's writing of all is what `prompt` and `suffix` give."""
        shown = [Message(role=role, content=content) for content in _SHOWN]
        for before in self._beginnings():
            ids = self.prompt(before)
            for reply, message in zip((_CALL, _ANSWER), shown, strict=True):
                ids += (*self._encode(reply.content), self.end_of_turn, *self.suffix((message,)))
            self._check_same(self.prompt((*before, _CALL, shown[0], _ANSWER, shown[1])), ids)
            text = self._tokenizer.decode(list(ids))
            if not all(content in text for content in _SHOWN):
                raise ValueError(f"{self._name} leaves out messages of the role {role}")

    def _beginnings(self) -> Iterator[tuple[Message, ...]]:
        """With a system message too, which some templates move to the newest message; others take none."""
        yield (_QUESTION,)
        try:
            self.prompt((_SYSTEM, _QUESTION))
        except ValueError:
            return
        yield (_SYSTEM, _QUESTION)

    def _check_same(self, whole: tuple[int, ...], turns: tuple[int, ...]) -> None:
        if whole == turns:
            return
        pairs = enumerate(zip(whole, turns, strict=False))
        at = next((at for at, (a, b) in pairs if a != b), min(len(whole), len(turns)))
        theirs, ours = (self._tokenizer.decode(list(ids[at : at + 8])) for ids in (whole, turns))
        raise ValueError(
            f"{self._name} cannot be continued turn by turn: a whole chat has {theirs!r} where its turns, one after "
            f"the other, have {ours!r}"
        )


def _special_tokens(tokenizer: Any) -> dict[int, str]:
    """By id, what contents must not become."""
    added = {token_id: token.content for token_id, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {**dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)), **added}


def _normalised(tokenizer: Any) -> set[int]:
    """Special tokens that are looked for in a text only after its normalisation."""
    backend = getattr(tokenizer, "backend_tokenizer", None)  # none where a tokenizer is written in Python
    if backend is None or backend.normalizer is None:
        return set()
    return {
        token_id for token_id, token in tokenizer.added_tokens_decoder.items() if token.special and token.normalized
    }
