"""Right replies with a reason, for the warm-up: what was checked, what one statement says, and why it is right or not.

    I compared the history and the tests line by line. Sentence 4 says "hyperkalemia", which cannot stand with
    potassium of 5.0 or less (potassium 3.5 to 5.0 mEq/L); "hypokalemia" belongs there.

    I compared the history and the tests line by line. Sentence 4 says "oral azithromycin", which goes with
    "fever and a productive cough"; it is no conflict with "crackles at the left base".

The reason is the medical one where a table holds it (`envs.verdict.reasons`). Where none does it is the honest check:
the statement is held against another sentence of the note, in the terms of the type of the error. Both labels draw
their opening and their focus from the same lists, and their thoughts are equally long, so that a policy which copies
the form has decided nothing before it judges.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from difflib import SequenceMatcher

from envs.verdict.doctor import grammar
from envs.verdict.doctor.reward import Truth
from envs.verdict.reasons import Reason

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
    "diagnosis": ('does not explain "{other}"', 'is not what "{other}" shows', 'is no diagnosis that fits "{other}"'),
    "management": (
        'is not the next step after "{other}"',
        'does not follow from "{other}"',
        'leaves "{other}" unmanaged',
    ),
    "treatment": (
        'does not treat what "{other}" shows',
        'is not the treatment for "{other}"',
        'does not help "{other}"',
    ),
    "pharmacotherapy": (
        'is not the drug for "{other}"',
        'is no drug that fits "{other}"',
        'is a wrong drug in view of "{other}"',
    ),
    "causalOrganism": ('does not cause "{other}"', 'is not the organism of "{other}"', 'does not match "{other}"'),
}
_RIGHT = (
    'agrees with "{other}"',
    'does go with "{other}"',
    'follows from "{other}"',
    'fits "{other}"',
    'is at odds with nothing, such as "{other}"',
    'is supported by "{other}"',
    'is in line with "{other}"',
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
_EDITS = (3, 4, 5)  # words that an edit changes, about: the length of a clean note's quotation


def write(
    truth: Truth, sentences: Sequence[str], rng: random.Random, clause: str | None = None, seen: Reason | None = None
) -> str:
    """A reply to the note `sentences` that earns the maximum of its label.

    `clause` is the tables' reason against the error of an error note; `seen` is what they vouch for in a clean one.
    """
    opening = _opening(rng)  # drawn first: it must not depend on the label
    focus = rng.choice(_FOCUS)
    if truth.sentence is None:
        at = len(sentences) - 1 if rng.random() < 0.5 else rng.randrange(len(sentences))  # often a decision
        quote = _some_words(sentences[at], rng)
        if seen is not None:
            at, quote, clause = seen.at, _quotable(seen.quote.split()), seen.clause
        found = focus.format(at=at, quote=quote)
        thought = f"{opening} {found} {clause or _check(_RIGHT, sentences, at, rng)}"
        thought += rng.choice(_AGREE).format(other=_some_words(rng.choice(sentences), rng)) + "."
        return grammar.render(grammar.Verdict(error=False, thinking=grammar.untagged(thought)))
    assert truth.error_type is not None and truth.error_text is not None and truth.corrected_text is not None
    old, new = changed_words(truth.error_text, truth.corrected_text, rng.choice(LEAST))
    found = focus.format(at=truth.sentence, quote=old)
    why = clause or _check(WRONG[truth.error_type], sentences, truth.sentence, rng)
    thought = f"{opening} {found} {why}{rng.choice(_REPAIR).format(new=new)}."
    return grammar.render(
        grammar.Verdict(
            error=True,
            thinking=grammar.untagged(thought),
            error_type=truth.error_type,
            sentence=truth.sentence,
            correction=grammar.untagged(truth.corrected_text),
        )
    )


def _check(clauses: Sequence[str], sentences: Sequence[str], at: int, rng: random.Random) -> str:
    """One of `clauses` on the words of another sentence, of the longer half: short ones rarely hold a finding."""
    others = sorted((said for number, said in enumerate(sentences) if number != at), key=len) or [sentences[at]]
    return rng.choice(clauses).format(other=_some_words(rng.choice(others[len(others) // 2 :]), rng))


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
