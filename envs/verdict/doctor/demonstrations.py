"""Right replies with a reason, for the warm-up: what was checked, what one statement says, and why it is right or not.

    I compared the history and the tests line by line. Sentence 4 says "intravenous ceftriaxone", which is not
    the right drug here; "oral azithromycin" belongs there.

    I compared the history and the tests line by line. Sentence 4 says "oral azithromycin", which follows from
    the findings; "fever and a productive cough" agrees as well.

The reason is built from the gold edit: the words that the correction changes, those that it puts there, and the type of
the error. Both labels draw their opening and their focus from the same lists, and their thoughts are equally long, so
that a policy which copies the form has decided nothing before it judges.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from difflib import SequenceMatcher

from envs.verdict.doctor import grammar
from envs.verdict.doctor.reward import Truth

QUOTED = 5  # most words of one quotation
LEAST = (2, 3, 4)  # fewest words: drawn alike for both labels, so that short edits give no short thoughts

_VERBS = ("I checked", "I compared", "I weighed", "I reviewed", "I went through", "Checking", "Reading")
_ASPECTS = ("the history", "the findings", "the diagnosis", "the drugs", "the tests", "the plan")
_MANNERS = ("line by line", "one by one", "side by side", "step by step", "with care", "in order")
_FOCUS = (
    'Sentence {at} says "{quote}", which',
    'Sentence {at} has "{quote}", and that',
    'In sentence {at}, "{quote}"',
    'The claim "{quote}" in sentence {at}',
    'Take sentence {at}: "{quote}"',
)
WRONG = {
    "diagnosis": ("does not explain the findings", "is not what the findings show", "does not match this history"),
    "management": ("is not the right next step", "does not follow from the findings", "is not what this case needs"),
    "treatment": ("does not treat this condition", "is not the right treatment here", "does not fit what was found"),
    "pharmacotherapy": ("is not the right drug here", "does not fit this patient", "is a wrong choice in this case"),
    "causalOrganism": ("does not cause this picture", "is not the likely organism", "does not match the findings"),
}
_RIGHT = (
    "agrees with the findings",
    "does match this history",
    "follows from the findings",
    "fits what is said before",
    "is at odds with nothing here",
    "is supported by the rest",
    "is in line with the rest",
)
_REPAIR = (
    '; it should say "{new}"',
    '; "{new}" belongs there',
    ', so it must be "{new}"',
    '; "{new}" would be right',
)
_AGREE = (
    '; it goes with "{other}"',
    '; "{other}" agrees as well',
    ', as does "{other}" before',
    '; "{other}" is no conflict',
)
_EDITS = (2, 3, 4, 5)  # words that an edit changes, about: the length of a clean note's quotation


def write(truth: Truth, sentences: Sequence[str], rng: random.Random) -> str:
    """A reply to the note `sentences` that earns the maximum of its label."""
    opening = _opening(rng)  # drawn first: it must not depend on the label
    focus = rng.choice(_FOCUS)
    if truth.sentence is None:
        at = len(sentences) - 1 if rng.random() < 0.5 else rng.randrange(len(sentences))  # often the error
        found = focus.format(at=at, quote=_some_words(sentences[at], rng))
        thought = f"{opening} {found} {rng.choice(_RIGHT)}"
        thought += rng.choice(_AGREE).format(other=_some_words(rng.choice(sentences), rng)) + "."
        return grammar.render(grammar.Verdict(error=False, thinking=grammar.untagged(thought)))
    assert truth.error_type is not None and truth.error_text is not None and truth.corrected_text is not None
    old, new = changed_words(truth.error_text, truth.corrected_text, rng.choice(LEAST))
    found = focus.format(at=truth.sentence, quote=old)
    thought = f"{opening} {found} {rng.choice(WRONG[truth.error_type])}{rng.choice(_REPAIR).format(new=new)}."
    return grammar.render(
        grammar.Verdict(
            error=True,
            thinking=grammar.untagged(thought),
            error_type=truth.error_type,
            sentence=truth.sentence,
            correction=grammar.untagged(truth.corrected_text),
        )
    )


def changed_words(error: str, corrected: str, least: int = 1) -> tuple[str, str]:
    """What the correction takes out and what it puts there, with neighbours up to `least` words, at most `QUOTED`."""
    before, after = error.split(), corrected.split()
    changes = [op for op in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if op[0] != "equal"]
    start, old_end, new_end = (changes[0][1], changes[-1][2], changes[-1][4]) if changes else (0, 0, 0)
    start = max(0, min(start, old_end - least, new_end - least))  # both sides are equal up to the first change
    old_end, new_end = max(old_end, start + least), max(new_end, start + least)
    return _quotable(before[start:old_end]), _quotable(after[start:new_end])


def _opening(rng: random.Random) -> str:
    one, other = rng.sample(_ASPECTS, 2)
    return f"{rng.choice(_VERBS)} {one} and {other} {rng.choice(_MANNERS)}."


def _some_words(sentence: str, rng: random.Random) -> str:
    """Neighbours, those with the most letters: rarely mere function words."""
    words = sentence.split()
    count = min(len(words), QUOTED, max(rng.choice(LEAST), rng.choice(_EDITS)))
    start = max(range(len(words) - count + 1), key=lambda i: len("".join(words[i : i + count])))
    return _quotable(words[start : start + count])


def _quotable(words: Sequence[str]) -> str:
    return " ".join(words[:QUOTED]).rstrip(".,;:")
