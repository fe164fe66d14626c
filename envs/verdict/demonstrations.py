"""Right replies with a reason, for the warm-up: what was checked, what one statement says, and why it stands or not.

    I compared the history and the tests line by line. Sentence 4 says "intravenous ceftriaxone", which is not
    the right drug here; "oral azithromycin" belongs there.

    I compared the history and the tests line by line. Sentence 4 says "oral azithromycin", which follows from
    the documented findings; the other statements agree.

The reason is built from the gold edit: the words that the correction changes, those that it puts there, and the type of
the error. Both labels draw their opening and their focus from the same lists, and their thoughts are equally long, so
that a policy which copies the form has decided nothing before it judges.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from difflib import SequenceMatcher

from envs.verdict import grammar
from envs.verdict.reward import Truth

QUOTED = 6  # most words of one quotation

_VERBS = ("I checked", "I compared", "I weighed", "I reviewed", "I went through", "Checking", "Reading through")
_ASPECTS = ("the history", "the findings", "the diagnosis", "the drugs", "the tests", "the plan")
_MANNERS = ("line by line", "one by one", "against each other", "with care", "against the rest", "in order")
_FOCUS = (
    'Sentence {at} says "{quote}", which',
    'Sentence {at} has "{quote}", and that',
    'In sentence {at}, "{quote}"',
    'The claim "{quote}" in sentence {at}',
    'Take sentence {at}: "{quote}"',
)
_WRONG = {
    "diagnosis": ("does not explain the findings", "is not what the findings show", "does not match this history"),
    "management": ("is not the right next step", "does not follow from the findings", "is not what this case needs"),
    "treatment": ("does not treat this condition", "is not the right treatment here", "does not fit what was found"),
    "pharmacotherapy": ("is not the right drug here", "does not fit this patient", "is a wrong choice in this case"),
    "causalOrganism": ("does not cause this picture", "is not the likely organism", "does not match the findings"),
}
_RIGHT = (
    "agrees with the findings described",
    "is consistent with this history",
    "follows from the documented findings",
    "is supported by the description",
    "matches everything described before",
    "contradicts nothing in this note",
    "does fit the remaining statements",
)
_REPAIR = (
    '; it should say "{new}"',
    '; "{new}" belongs there',
    ', so it must be "{new}"',
    '; "{new}" would be right',
)
_AGREE = (
    "; the other statements agree",
    "; nothing else stands out either",
    ", and the other statements stand",
    ", and no other claim is in doubt",
    "; everything else is consistent",
)


def write(truth: Truth, sentences: Sequence[str], rng: random.Random) -> str:
    """A reply to the note `sentences` that earns the maximum of its label."""
    opening = _opening(rng)  # drawn first: it must not depend on the label
    focus = rng.choice(_FOCUS)
    if truth.sentence is None:
        at = len(sentences) - 1 if rng.random() < 0.5 else rng.randrange(len(sentences))  # errors often stand last
        found = focus.format(at=at, quote=_some_words(sentences[at], rng))
        thought = f"{opening} {found} {rng.choice(_RIGHT)}{rng.choice(_AGREE)}."
        return grammar.render(grammar.Verdict(error=False, thinking=grammar.untagged(thought)))
    assert truth.error_type is not None and truth.error_text is not None and truth.corrected_text is not None
    old, new = changed_words(truth.error_text, truth.corrected_text)
    found = focus.format(at=truth.sentence, quote=old)
    thought = f"{opening} {found} {rng.choice(_WRONG[truth.error_type])}{rng.choice(_REPAIR).format(new=new)}."
    return grammar.render(
        grammar.Verdict(
            error=True,
            thinking=grammar.untagged(thought),
            error_type=truth.error_type,
            sentence=truth.sentence,
            correction=grammar.untagged(truth.corrected_text),
        )
    )


def changed_words(error: str, corrected: str) -> tuple[str, str]:
    """What the correction takes out and what it puts there, each 1 to `QUOTED` words, with a neighbour where empty."""
    before, after = error.split(), corrected.split()
    changes = [op for op in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if op[0] != "equal"]
    if not changes:
        return _quotable(before), _quotable(after)
    start, old_end, new_end = changes[0][1], changes[-1][2], changes[-1][4]  # both sides are equal up to the start
    if start in (old_end, new_end):  # one side is empty: show the word before, or else the word after
        start, old_end, new_end = (start - 1, old_end, new_end) if start else (0, old_end + 1, new_end + 1)
    return _quotable(before[start:old_end]), _quotable(after[start:new_end])


def _opening(rng: random.Random) -> str:
    one, other = rng.sample(_ASPECTS, 2)
    return f"{rng.choice(_VERBS)} {one} and {other} {rng.choice(_MANNERS)}."


def _some_words(sentence: str, rng: random.Random) -> str:
    """One to five neighbours, those with the most letters: rarely mere function words."""
    words = sentence.split()
    count = min(len(words), rng.choice((1, 2, 2, 3, 4, 5)))
    start = max(range(len(words) - count + 1), key=lambda i: len("".join(words[i : i + count])))
    return _quotable(words[start : start + count])


def _quotable(words: Sequence[str]) -> str:
    return " ".join(words[:QUOTED]).rstrip(".,;:")
