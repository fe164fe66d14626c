"""How far an engine's log-probs and the learner's may lie apart while both hold the same weights, by dtype."""

from __future__ import annotations

from common.records import Record


class Bounds(Record):
    """Mean |log-prob difference|, nats. What is tolerated follows the first measured one, between the two."""

    floor: float  # below it two orders of additions explain the difference
    ceiling: float  # beyond it they hold different weights, even when the first engine does
    canary_tokens: int  # most of the text that is scored after each sync
    fresh_completions: int  # sampled at each step to compare them on: as many as the mean needs to be steady

    def tolerance(self, first: float, factor: float) -> float:
        """Largest difference that passes, when it was `first` right after loading."""
        return min(max(factor * first, self.floor), self.ceiling)


BOUNDS = {
    # Of 256 fresh tokens the mean's own noise reached 1.6 times the first value, of 1,024 it stayed below 1.2.
    # The floor: on the tiny model, whose first gap may be as small as .002, .0055 was seen without a fault. The
    # ceiling: rounding explains .04 to .08, a head that was not reloaded costs .2 and more.
    "bfloat16": Bounds(floor=0.01, ceiling=0.2, canary_tokens=256, fresh_completions=32),
    # They agree to .0000. The ceiling leaves room for a GPU's TF32 attention, and none for an engine that computes in
    # bfloat16.
    "float32": Bounds(floor=0.001, ceiling=0.01, canary_tokens=64, fresh_completions=2),
}
