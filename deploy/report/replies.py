"""What is counted of the replies in a batch, in any game: figures that tell a healthy policy from a collapsing one."""

from __future__ import annotations

from collections.abc import Iterable

from common.buffer_records import StoredGroup
from common.records import EndReason
from common.statistics import mean

REPLY_TOKENS, TRUNCATED, ENTROPY = "reply_tokens", "truncated_share", "entropy"


def figures(groups: Iterable[StoredGroup]) -> dict[str, float | None]:
    """By name; None where nothing was sampled.

    `reply_tokens`: sampled tokens per reply. `truncated_share`: of the episodes, those that the token limit ended.
    `entropy`: nats per token, the mean of -log-prob of the sampled tokens, an unbiased estimate of the entropy of the
    distribution that they were drawn from.
    """
    stats = [one for group in groups for one in group.stats]
    turns, tokens = sum(one.turns for one in stats), sum(one.sampled_tokens for one in stats)
    return {
        REPLY_TOKENS: tokens / turns if turns else None,
        TRUNCATED: mean([float(one.reason is EndReason.LENGTH) for one in stats]),
        ENTROPY: sum(one.surprise for one in stats) / tokens if tokens else None,
    }
