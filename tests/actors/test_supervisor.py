from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable

import pytest
from ray.exceptions import ActorDiedError

from actors.restarts import MAX_RESTARTS, BudgetSpent, RestartBudget
from common.metrics import ACTOR_RESTARTS, ENGINE_RESTARTS, SYNCS
from simulator import virtual
from simulator.fakes import remote_error, settle
from tests.actors.supervisor_world import FrozenWorld, World


async def test_start_brings_up_every_engine_and_role_actor_of_the_spec() -> None:
    world = await World().start()
    assert await world.serving() == {"engines-0", "engines-1"}
    assert set(world.placement.roles) == {"scribe-0", "doctor-0"}
    assert world.board.total(SYNCS, "ok") == 2


async def test_start_fails_in_one_line_when_an_engine_cannot_prove_the_policy() -> None:
    world = World()
    world.faults["engines-1"] = "prove: checksum none instead of abc"
    with pytest.raises(RuntimeError, match="engines-1 does not hold the policy: prove: checksum none"):
        await world.start()
    assert world.board.total(SYNCS, "failed") == 1 and world.placement.roles == {}


async def test_an_engine_that_dies_while_it_starts_is_replaced_by_the_first_heartbeat() -> None:
    world = World()
    world.placement.load_error = lambda engine_id: ActorDiedError() if engine_id == "engines-0" else None
    await world.start()
    assert await world.serving() == {"engines-1"}
    world.placement.engines["engines-0"].kill()
    await world.beat()
    assert await world.serving() == {"engines-1", "engines-0.1"} and world.board.total(ENGINE_RESTARTS) == 1


async def test_a_frozen_engine_serves_what_it_loaded_and_never_joins_the_channel() -> None:
    world = FrozenWorld()
    await world.start()
    assert world.joined == ["engines-0"] and set(await world.frozen.engines()) == {"frozen-0"}
    world.placement.engines["frozen-0"].kill()
    await world.frozen.quarantine("frozen-0")
    await world.beat()
    assert world.joined == ["engines-0"] and set(await world.frozen.engines()) == {"frozen-0.1"}


async def test_the_verifier_is_examined_when_engines_serve_and_before_any_role_starts() -> None:
    world = FrozenWorld()
    seen: list[tuple[set[str], set[str]]] = []

    async def examine() -> None:
        seen.append((set(await world.frozen.engines()), set(world.placement.roles)))

    await world.start(examine)
    assert seen == [({"frozen-0"}, set())] and set(world.placement.roles) == {"scribe-0", "doctor-0"}


async def test_an_engine_that_dies_under_the_exam_is_replaced() -> None:
    world = FrozenWorld()

    async def examine() -> None:
        world.placement.engines["frozen-0"].kill()
        await world.frozen.quarantine("frozen-0")
        while not await world.frozen.engines():  # as a question waits for an engine
            await asyncio.sleep(0)

    await asyncio.wait_for(world.start(examine), 5)
    assert set(await world.frozen.engines()) == {"frozen-0.1"}


async def test_a_fault_of_the_exam_ends_the_start() -> None:
    world = FrozenWorld()

    async def examine() -> None:
        raise KeyError("vignette")

    with pytest.raises(KeyError, match="vignette"):
        await world.start(examine)
    assert world.placement.roles == {}


async def test_engines_load_in_turn_on_one_machine_and_at_once_on_several() -> None:
    """Several at once would double a machine's peak memory; another machine has its own."""
    world = World(engines=4)
    world.placement.machines = {"engines-1": "there", "engines-3": "there"}
    world.placement.prepare = lambda engine: engine.may_load.clear()
    starting = asyncio.ensure_future(world.start())
    await settle()
    engines = world.placement.engines

    def loading() -> set[str]:
        return {name for name, engine in engines.items() if engine.actor.loading}

    assert loading() == {"engines-0", "engines-1"}
    engines["engines-1"].actor.may_load.set()
    await settle()
    assert loading() == {"engines-0", "engines-1", "engines-3"}
    for engine in engines.values():
        engine.actor.may_load.set()
    await starting
    assert await world.serving() == set(engines)


async def test_a_quiet_heartbeat_replaces_nothing() -> None:
    world = await World().start()
    await world.beat()
    assert world.placement.killed == [] and len(world.placement.engines) == 2


async def test_a_lost_engine_is_killed_and_replaced_under_a_new_name() -> None:
    world = await World().start()
    await world.lose("engines-0")
    await world.beat()
    assert await world.serving() == {"engines-1", "engines-0.1"}
    assert world.placement.killed == [world.placement.engines["engines-0"]]
    assert world.board.total(ENGINE_RESTARTS) == 1
    assert world.notes == ["engine engines-0 died, hung or failed its sync; starting another (logs/engines-0.log)"]
    await world.lose("engines-0.1")
    await world.beat()
    assert await world.serving() == {"engines-1", "engines-0.2"}


async def test_an_engine_whose_core_died_while_it_was_idle_is_replaced() -> None:
    world = await World().start()
    world.placement.engines["engines-0"].actor.core_died = True
    await world.beat()
    assert await world.serving() == {"engines-1", "engines-0.1"} and world.board.total(ENGINE_RESTARTS) == 1


async def test_an_engines_own_bug_is_raised_and_not_restarted() -> None:
    world = await World().start()
    world.placement.engines["engines-0"].actor.check_health = raising(remote_error(KeyError("weights")))
    with pytest.raises(KeyError, match="weights"):
        await world.beat()


def raising(error: Exception) -> Callable[[], Awaitable[str]]:
    async def method() -> str:
        raise error

    return method


async def test_a_quarantined_engine_is_replaced_like_a_dead_one() -> None:
    world = await World().start()
    await world.pool.quarantine("engines-1")
    await world.beat()
    assert world.placement.engines["engines-1"].dead.is_set()
    assert await world.serving() == {"engines-0", "engines-1.1"}


@pytest.mark.parametrize("how", ["load", "join"])
async def test_a_replacement_that_fails_is_tried_again_without_multiplying(how: str) -> None:
    world = await World().start()
    if how == "join":
        world.faults["engines-0.1"] = "prove: checksum none instead of abc"
    else:
        fault = remote_error(RuntimeError("out of memory"))
        world.placement.load_error = lambda engine_id: fault if engine_id == "engines-0.1" else None
    await world.lose("engines-0")
    await world.beat()
    assert await world.serving() == {"engines-1"}
    assert "the replacement of engine engines-0 failed too" in world.notes[-1]
    await world.beat()
    await world.beat()
    assert await world.serving() == {"engines-1", "engines-0.2"}
    assert set(world.placement.engines) == {"engines-0", "engines-1", "engines-0.1", "engines-0.2"}
    assert world.placement.engines["engines-0.1"].dead.is_set()


async def test_a_dead_doctor_gives_its_leases_back_and_is_replaced() -> None:
    world = await World().start()
    world.placement.roles["doctor-0"].kill()
    await settle()
    await world.beat()
    assert world.buffer.returned == [("leases", "doctor-0")]
    assert set(world.placement.roles) == {"scribe-0", "doctor-0", "doctor-0.1"}
    assert world.board.total(ACTOR_RESTARTS, "doctor") == 1


async def test_a_dead_scribe_gives_its_claims_back_and_is_replaced() -> None:
    world = await World().start()
    world.placement.roles["scribe-0"].kill()
    await settle()
    await world.beat()
    assert world.buffer.returned == [("claims", "scribe-0")] and "scribe-0.1" in world.placement.roles


async def test_a_role_actor_that_dies_during_its_heartbeat_is_replaced_at_the_next() -> None:
    world = await World().start()
    world.placement.roles["doctor-0"].kill()  # its run has not ended yet, but state() raises
    await world.beat()
    await settle()
    await world.beat()
    assert world.buffer.returned == [("leases", "doctor-0")] and "doctor-0.1" in world.placement.roles


async def test_a_role_actors_own_bug_is_raised_and_not_restarted() -> None:
    world = await World().start()
    world.placement.roles["doctor-0"].actor.ended.set_exception(remote_error(KeyError("vignette")))
    await settle()
    with pytest.raises(KeyError, match="vignette"):
        await world.supervisor.watch()
    assert "doctor-0.1" not in world.placement.roles


async def test_a_journal_that_the_disk_refuses_ends_the_watch_since_no_restart_makes_room() -> None:
    world = await World().start()
    error = remote_error(OSError(errno.ENOSPC, "No space left on device"))
    world.placement.roles["scribe-0"].actor.ended.set_exception(error)
    await settle()
    with pytest.raises(OSError, match="No space left on device"):
        await world.supervisor.watch()


async def test_a_role_actor_that_returned_because_the_buffer_closed_stays_away() -> None:
    world = await World().start()
    world.placement.roles["doctor-0"].actor.ended.set_result(None)
    await settle()
    await world.beat()
    assert world.buffer.returned == [] and len(world.placement.roles) == 2


async def test_restarts_without_a_published_step_in_between_end_the_run() -> None:
    world = await World(engines=1).start()
    for birth in range(MAX_RESTARTS):
        await world.lose(f"engines-0.{birth}" if birth else "engines-0")
        await world.beat()
    await world.lose(f"engines-0.{MAX_RESTARTS}")
    with pytest.raises(BudgetSpent, match=f"gave up after {MAX_RESTARTS} restarts"):
        await world.supervisor.watch()


async def test_a_published_step_forgives_earlier_restarts() -> None:
    world = await World(engines=1).start()
    for birth in range(3 * MAX_RESTARTS):
        await world.lose(f"engines-0.{birth}" if birth else "engines-0")
        await world.beat()
        world.restarts.progressed(birth + 1)
    assert world.board.total(ENGINE_RESTARTS) == 3 * MAX_RESTARTS


async def test_stop_ends_every_actor_and_lets_engines_end_by_themselves() -> None:
    world = await World().start()
    world.placement.engines["engines-0"].kill()  # cannot shut down by itself any more
    await world.supervisor.stop()
    placement = world.placement
    assert all(handle.dead.is_set() for handle in (*placement.engines.values(), *placement.roles.values()))
    assert placement.engines["engines-1"].actor.ended
    assert world.notes == ["engine engines-0 did not end by itself"]


def test_while_an_actor_pauses_before_its_restart_the_heartbeats_of_the_others_continue() -> None:
    async def beats() -> None:
        world = World()
        world.supervisor._role_actors._restarts = RestartBudget(lambda _: None, first_pause_seconds=4.0)
        await world.start()
        now = asyncio.get_running_loop().time
        for life in range(2):  # the second restart has a pause
            world.placement.roles["doctor-0" if not life else "doctor-0.1"].kill()
            await settle()
            await world.beat()
        assert "doctor-0.2" not in world.placement.roles and world.buffer.returned[-1] == ("leases", "doctor-0.1")
        assert now() < 4.0, "the heartbeat waited for the pause"
        await asyncio.sleep(4.0)
        await world.beat()
        assert "doctor-0.2" in world.placement.roles

    virtual.run(beats())
