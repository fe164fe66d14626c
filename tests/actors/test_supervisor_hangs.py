"""Who hangs is killed; who cannot be replaced alone is waited for, or lost by name."""

from __future__ import annotations

import asyncio

import pytest
from ray.exceptions import ActorDiedError

from actors import heartbeats
from common.errors import ActorLost
from common.metrics import ACTOR_RESTARTS
from common.weights import SyncOutcome
from simulator.fakes import settle
from tests.actors.supervisor_world import World


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds too short to wait for one that hangs."""
    monkeypatch.setattr(heartbeats, "ROUND_SECONDS", 0.25)


@pytest.mark.usefixtures("quick")
async def test_an_engine_that_hangs_is_killed_and_replaced() -> None:
    world = await World().start()
    stuck = world.placement.engines["engines-0"]
    stuck.actor.hangs = True
    await world.beat()
    assert await world.serving() == {"engines-1", "engines-0.1"} and stuck.dead.is_set()
    assert stuck.actor.unanswered == 1
    assert stuck.actor.core_killed, "a stopped vLLM would outlive its actor"


@pytest.mark.usefixtures("quick")
async def test_one_that_hangs_delays_no_other_replacement() -> None:
    world = await World().start()
    world.supervisor._heartbeats = heartbeats.Heartbeats(silence_seconds=3600)
    world.placement.engines["engines-0"].actor.hangs = True
    world.placement.roles["scribe-0"].kill()
    await settle()
    await world.beat()
    assert world.placement.engines["engines-0"].actor.unanswered == 1
    assert "scribe-0.1" in world.placement.roles and await world.serving() == {"engines-0", "engines-1"}


@pytest.mark.usefixtures("quick")
async def test_a_doctor_that_hangs_is_killed_and_replaced_and_its_leases_return() -> None:
    world = await World().start()
    world.placement.roles["doctor-0"].actor.hangs = True
    await world.beat()
    await settle()
    await world.beat()
    assert world.placement.roles["doctor-0"].actor.unanswered == 1
    assert world.buffer.returned == [("leases", "doctor-0")] and "doctor-0.1" in world.placement.roles


async def test_a_dead_buffer_is_replaced_at_the_learners_word_and_the_roles_with_it() -> None:
    world = await World().start()
    world.buffer_handle.kill()
    old = dict(world.placement.roles)
    for handle in old.values():  # their next call to the buffer raises
        handle.actor.ended.set_exception(ActorDiedError())
    await settle()
    await world.beat()
    assert world.placement.roles == old, "a role is not restarted over a dead buffer"
    buffer = await world.supervisor.new_buffer(7)
    await world.beat()
    assert buffer is world.placement.buffers[-1] and buffer.actor.trained_steps == 7
    assert set(world.placement.roles) - set(old) == {"scribe-0.1", "doctor-0.1"}
    assert all(handle.dead.is_set() for handle in old.values())
    assert world.board.total(ACTOR_RESTARTS, "buffer") == 1 and world.board.total(ACTOR_RESTARTS, "scribe") == 0
    assert world.notes == ["the replay buffer died; starting another from its journal (logs/buffer.log)"]


async def test_a_rank_lost_in_the_sync_of_a_new_engine_is_heard_of_while_the_buffer_is_dead() -> None:
    """Found by the simulator: nobody else may notice, since a rank that hangs answers nobody."""
    world = await World().start()

    async def join(*_: object) -> SyncOutcome:
        raise ActorLost("learner", "weight sync 5: the learner did not finish")

    world.join = join  # type: ignore[assignment, method-assign]
    await world.lose("engines-0")
    await world.beat()
    world.buffer_handle.kill()
    with pytest.raises(ActorLost, match="weight sync 5"):
        await world.beat()


@pytest.mark.usefixtures("quick")
async def test_a_buffer_that_hangs_is_killed_so_that_its_callers_hear_of_it() -> None:
    world = await World().start()
    world.buffer.hangs = True
    await world.beat()
    assert world.buffer_handle.dead.is_set() and world.buffer.unanswered == 1


@pytest.mark.usefixtures("quick")
async def test_a_pool_that_hangs_is_killed_so_that_its_callers_fail() -> None:
    world = await World().start()

    met = list[str]()

    async def never(*_: object) -> None:
        met.append("hung")
        await asyncio.Event().wait()

    world.pool.state = world.pool.generate = never  # type: ignore[assignment, method-assign]
    waiting = asyncio.ensure_future(world.pool_handle.generate.remote("doctor", (), 1, 1, 1.0))
    with pytest.raises(ActorLost, match="pool engines died"):
        await world.beat()
    with pytest.raises(ActorDiedError):
        await asyncio.wait_for(waiting, 5)
    assert met == ["hung"] * 2, "the heartbeat and the request"


async def test_a_dead_rank_or_pool_is_lost_by_name_while_a_rank_that_trains_is_waited_for() -> None:
    world = await World().start()
    await world.beat()
    await world.beat()
    world.rank.kill()
    with pytest.raises(ActorLost, match="learner rank 0 died") as lost:
        await world.supervisor.watch()
    assert lost.value.kind == "learner"
    world = await World().start()
    world.pool_handle.kill()
    with pytest.raises(ActorLost, match="pool engines died"):
        await world.beat()
