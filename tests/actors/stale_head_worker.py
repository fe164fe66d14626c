"""A worker on which the repair of tied heads can be switched off, to reproduce the bug that it repairs."""

from __future__ import annotations

from actors import engine_worker

_repair = engine_worker.repack_tied_heads


class StaleHeadWorker(engine_worker.WorkerExtension):
    def repair_tied_heads(self, on: bool) -> None:
        engine_worker.repack_tied_heads = _repair if on else lambda model: None
