"""What a run asks of all its learner ranks at once, outside the learner loop: to load, and to end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from deploy.job.start import Start
from deploy.job.waiting import result
from learner.handles import RankHandle
from learner.rank_calls import AdaptiveDeadline
from learner.scribe_learner import ScribeSide

CLOSE_SECONDS = 30.0  # for a rank to end by itself


def sides(ranks: Sequence[RankHandle]) -> list[ScribeSide]:
    """The Scribe's ranks, in the same processes."""
    return [ScribeSide(rank) for rank in ranks]


async def load(ranks: Sequence[RankHandle], start: Start, trains_scribe: bool, deadlines: AdaptiveDeadline) -> None:
    """Bring the ranks to the checkpoint where the run goes on, if there is one.

    They answer in order: later calls find it loaded. Raises ActorLost, and ValueError for a checkpoint that is damaged.
    """
    if start.folder is None:
        return
    loads = {"it loaded its checkpoint": [rank.load.remote(start.folder) for rank in ranks]}
    if trains_scribe and start.scribe_version is not None:
        loads["it loaded the Scribe"] = [side.load.remote(start.folder) for side in sides(ranks)]
    for doing, calls in loads.items():
        await deadlines.of_ranks(doing, calls)


async def close(ranks: Sequence[RankHandle]) -> None:
    """Let the ranks leave their group; one whose peers died may wait for them, and is not waited for long."""
    closing = [asyncio.ensure_future(result(rank.close)) for rank in ranks]
    await asyncio.wait(closing, timeout=CLOSE_SECONDS)
    for close in closing:
        close.cancel()
