"""A worker that tells its place in the group over which the learner sends weights."""

from __future__ import annotations

from actors import engine_worker


class PlacedWorker(engine_worker.WorkerExtension):
    def place(self) -> tuple[int, int, str]:
        """Its rank in the newest group, that group's number of ranks, and the checksum of what arrived there."""
        group = self.weight_transfer_engine._receiver._group  # type: ignore[attr-defined]
        return group.rank, group.info.world, self.received_checksum()
