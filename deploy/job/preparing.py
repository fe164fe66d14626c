"""The model of a run is prepared by an actor of its own (learner/preparation.py), beside the engines' start."""

from __future__ import annotations

import asyncio

from ray.exceptions import RayActorError

from actors.heartbeats import consume_exception
from deploy.cluster.placement import Placement
from deploy.job.waiting import result
from deploy.report.terminal import Screen
from learner.handles import PreparationHandle
from learner.preparation import Prepared


async def prepared(placement: Placement, screen: Screen) -> Prepared:
    """Prepare the model and show how far that is. Raises RuntimeError, for people, when the process dies."""
    try:
        return await _followed(placement.preparation(), placement, screen)
    except RayActorError as error:
        raise RuntimeError(
            "the process that prepares the model died, usually since memory ran out (dmesg says what was killed, "
            "medserl plan how much a run needs): close other programs, then start again"
        ) from error


async def _followed(actor: PreparationHandle, placement: Placement, screen: Screen) -> Prepared:
    running = asyncio.ensure_future(result(actor.run))
    running.add_done_callback(consume_exception)  # of a death, `progress` may tell first
    await actor.progress.remote()  # it has its room: engines look for theirs in what is left
    placement.early_engines()
    while not running.done():
        state = await actor.progress.remote()
        screen.phase(state.phase, state.detail)
        await asyncio.wait([running], timeout=1)
    placement.kill(actor)
    return running.result()
