"""How much the log-probs of engine and learner may differ while both hold the same weights, by dtype."""

from __future__ import annotations

from common.records import Record


class Bounds(Record):
    """Bounds of the tolerated mean |log-prob difference|, nats; between them it follows the first measured value."""

    floor: float  # below it a different order of additions explains the difference
    ceiling: float  # above it the weights differ, even if the first measured value was as large
    canary_tokens: int  # maximum tokens of the text that is scored after each sync
    fresh_completions: int  # sampled per step for the comparison; right after loading LOADED times as many

    def tolerance(self, first: float, factor: float) -> float:
        """Largest difference that passes, when it was `first` right after loading."""
        return min(max(factor * first, self.floor), self.ceiling)


LOADED = 4
"""How many times a step's fresh rollouts the first comparison has, and how many steps are compared with it together:
of 256 tokens the mean's own noise reached 1.6 times the first value, of 1,024 it stayed below 1.2."""

BOUNDS = {
    # The floor: on the tiny model, whose first gap may be as small as .002, .0055 was seen without a fault. The
    # ceiling: rounding explains .04 to .08, a head that was not reloaded costs .2 and more.
    "bfloat16": Bounds(floor=0.01, ceiling=0.2, canary_tokens=256, fresh_completions=8),
    # They agree to .0000. The ceiling leaves room for a GPU's TF32 attention, and none for an engine that computes in
    # bfloat16.
    "float32": Bounds(floor=0.001, ceiling=0.01, canary_tokens=64, fresh_completions=2),
}
