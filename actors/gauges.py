"""What the supervisor's heartbeats put on the job's board, beside counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from common.config import PoolSpec
from common.metrics import BUFFER, CLAIMED, IMBALANCE, KV_USE, MADE, Board


def show_buffer(board: Board, stats: Mapping[str, Any]) -> None:
    """The buffer's accounts, from its heartbeat."""
    for state in BUFFER.values:
        board.set(BUFFER, stats[state], state)
    for metric, name in ((MADE, "made"), (CLAIMED, "claimed"), (IMBALANCE, "imbalance")):
        board.set(metric, stats[name])
    board.merge("buffer", stats["counts"])


def show_caches(board: Board, shares: Iterable[tuple[PoolSpec, float | None]]) -> None:
    """How full each engine's KV cache is, from its heartbeat: pool and share in use, None where it did not answer."""
    fullest: dict[str, float] = {}
    for pool, share in shares:
        for role in () if share is None else pool.serves:
            fullest[role] = max(share or 0.0, fullest.get(role, 0.0))
    for role, share in fullest.items():
        board.set(KV_USE, share, role)
