"""`medserl selfplay` where the returns of all turns before an episode's last one are zero: the credit test's control.

    python -m bench.last_turn deploy/lookup.yaml --seed 1

A game that cannot be won without a good first turn must not be learnt like this. It is what a learner does that stops
its running return at the first observation from the end. There is no such switch in production.
"""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

from learner import rank_actor

if TYPE_CHECKING:
    from torch import Tensor

    from learner.batch import TokenLayout


class LastTurnLearner(rank_actor.LearnerActor):
    """A learner's rank that credits last turns only."""

    def __init__(self, *arguments: Any) -> None:
        from learner import reinforce_pp

        whole = reinforce_pp.episode_returns

        def returns(tokens: TokenLayout, *, baseline: bool, penalty_N: Tensor | None = None) -> Tensor:
            return last_turns_only(whole(tokens, baseline=baseline, penalty_N=penalty_N), tokens)

        reinforce_pp.episode_returns = returns
        super().__init__(*arguments)


def last_turns_only(return_N: Tensor, tokens: TokenLayout) -> Tensor:
    """The returns [N] with those of tokens of earlier turns set to zero."""
    last_turn_E = tokens.turn_N[tokens.last_N]
    return return_N * (tokens.turn_N == last_turn_E[tokens.episode_N])


def main() -> None:
    """Run the command in this process; ends with its exit code."""
    rank_actor.LearnerActor = LastTurnLearner  # type: ignore[assignment, misc]
    runpy.run_module("deploy.selfplay", run_name="__main__")  # not imported: benches stand apart from deploy


if __name__ == "__main__":
    main()
