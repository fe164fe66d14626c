"""An actor in the place of an engine or a rank. In a module of its own: its process imports nothing else."""

from __future__ import annotations

import logging
from typing import Any

import ray


class Somewhere:
    """Knows where it is. Async, as an engine is: Ray gives a plain class a thread for each of its calls in flight."""

    def __init__(self, *arguments: Any) -> None:
        self._last = arguments[-1]

    async def where(self) -> tuple[str, str]:
        """Ray's node id, and the last argument that it was made with."""
        logging.getLogger("actors.somewhere").info("asked")
        return ray.get_runtime_context().get_node_id(), str(self._last)
