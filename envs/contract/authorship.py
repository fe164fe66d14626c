"""What a try of the Scribe's model at an error earns it, when the Scribe is trained. It is known once a Doctor has read
the note; `success` is that of the difficulty filter, a reward above 0.

| try                                                             | reward      |
|-----------------------------------------------------------------|-------------|
| does not parse, is truncated, or code refuses it                | 0           |
| the verifier does not confirm it, in both orders                | 0           |
| verified, but the buffer refuses the task (duplicate, novelty)  | 0           |
| verified, and a share p of the Doctor's replies finds the error | 4 p (1 - p) |

Nothing is paid for a "miss" of an unverified error: where nobody knows that the text is wrong, a Doctor who calls it
clean may be right, and a Scribe paid for that learns to write correct text and call it an error. Nor is any try fined:
if a fine depended on how far a try got, less ambitious errors would be the way around it, and zero is what an error
that every Doctor finds, or none, earns too. So the only way to earn is an error that the frozen verifier confirms and
that the Doctor is in two minds about. What is left to exploit is the verifier itself: text that it wrongly takes for an
error. Its exam bounds how often that happens on synonyms, and the KL to the reference holds the Scribe near its start.
"""

from __future__ import annotations


def author_reward(verified: bool, successes: int = 0, replies: int = 0) -> float:
    """The table's value: 4p(1-p) with p = successes / replies, from 0 to 1 where the Doctor is split evenly."""
    if not verified:
        return 0.0
    assert 0 <= successes <= replies and replies > 0, (successes, replies)
    return 4 * successes * (replies - successes) / replies**2
