"""KvUse: how full an engine's KV cache is, as vLLM tells it after each engine step."""

from __future__ import annotations

from typing import Any


class KvUse:
    """A stat logger of vLLM's: it has the methods of `StatLoggerBase`, which only an engine's process could import."""

    def __init__(self) -> None:
        self._newest = self._largest = 0.0

    def record(self, scheduler_stats: Any, *_: Any, **__: Any) -> None:
        """Called by vLLM; None when only requests were reported."""
        if scheduler_stats is not None:
            self._newest = scheduler_stats.kv_cache_usage
            self._largest = max(self._largest, self._newest)

    def take(self) -> float:
        """The largest share in use since the last call, 0 to 1: the newest would miss a burst between two calls."""
        largest, self._largest = self._largest, self._newest
        return largest

    def log_engine_initialized(self) -> None:
        """Called by vLLM once it has loaded."""

    def log(self) -> None:
        """Called by vLLM where it would print."""

    def record_sleep_state(self, is_awake: int, level: int) -> None:
        """Called by vLLM when it sleeps, which ours never do."""
