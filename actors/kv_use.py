"""KV cache use of the engines: reported by vLLM after each engine step, published by the supervisor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from common.config import PoolSpec
from common.metrics import KV_USE, Board


class KvUse:
    """A vLLM stat logger: has the methods of `StatLoggerBase`, which can be imported only in an engine's process."""

    def __init__(self) -> None:
        self._newest = self._largest = 0.0

    def record(self, scheduler_stats: Any, *_: Any, **__: Any) -> None:
        """Called by vLLM; None when only requests were reported."""
        if scheduler_stats is not None:
            self._newest = scheduler_stats.kv_cache_usage
            self._largest = max(self._largest, self._newest)

    def take(self) -> float:
        """The largest share in use since the last call, 0 to 1; the newest would miss a burst between two calls."""
        largest, self._largest = self._largest, self._newest
        return largest

    def log_engine_initialized(self) -> None:
        """Called by vLLM once it has loaded."""

    def log(self) -> None:
        """Called by vLLM when it would log."""

    def record_sleep_state(self, is_awake: int, level: int) -> None:
        """Called by vLLM when it sleeps, which engines here never do."""


def show(board: Board, shares: Iterable[tuple[PoolSpec, float | None]]) -> None:
    """Publish the fullest cache of each role, from each engine's pool and heartbeat (None without one)."""
    heard = [(role, share) for pool, share in shares if share is not None for role in pool.serves]
    for role in {role for role, _ in heard}:
        board.set(KV_USE, max(share for named, share in heard if named == role), role)
