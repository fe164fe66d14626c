"""Scribes, Doctors and engines are added and removed during a run."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import engine_manager, heartbeats, role_actors
from actors.engine_pool import PoolState
from common.metrics import ACTOR_RESTARTS, ENGINE_RESTARTS, TASKS
from common.records import Sampled
from simulator.fakes import Handle, remote_error, settle
from tests.actors.supervisor_world import FakeEngine, FrozenWorld, World


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time for what leaves."""
    monkeypatch.setattr(role_actors, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(engine_manager, "DRAIN_SECONDS", 0.01)


async def test_more_doctors_start_at_the_next_heartbeat_and_serve_when_they_have_answered_one() -> None:
    world = await World().start()
    world.resize(doctors=3)
    await world.beat()
    assert set(world.placement.roles) == {"scribe-0", "doctor-0", "doctor-1", "doctor-2"}
    assert world.actors("doctor") == (1, 3)
    await world.beat()
    assert world.actors("doctor") == (3, 3) and world.actors("scribe") == (1, 1)


async def test_a_doctor_too_many_gets_no_more_work_finishes_and_is_gone() -> None:
    world = await World(doctors=2).start()
    leaver = world.placement.roles["doctor-1"]
    world.resize(doctors=1)
    await world.beat()
    await world.beat()
    assert world.buffer.retired == [("doctor", "doctor-1")] and not leaver.dead.is_set()
    assert world.actors("doctor") == (1, 1)
    leaver.actor.made = 5  # since its last heartbeat
    leaver.actor.ended.set_result(None)
    await settle()
    await world.beat()
    assert leaver.dead.is_set() and world.buffer.returned == [] and world.notes == []
    assert world.board.total(TASKS, "game", "kind") == 5


async def test_a_doctor_that_dies_as_it_leaves_gives_its_leases_back_and_is_not_replaced() -> None:
    world = await World(doctors=2).start()
    world.resize(doctors=1)
    await world.beat()
    world.placement.roles["doctor-1"].kill()
    await settle()
    await world.beat()
    assert world.buffer.returned == [("leases", "doctor-1")] and len(world.placement.roles) == 3
    assert world.board.total(ACTOR_RESTARTS, "doctor") == 0


@pytest.mark.usefixtures("impatient")
async def test_a_scribe_that_does_not_finish_in_time_is_killed_and_its_claims_return() -> None:
    world = await World().start()
    world.resize(scribes=2)
    await world.beat()
    world.resize(scribes=1)
    for _ in range(4):
        await world.beat()
    assert world.placement.roles["scribe-1"].dead.is_set() and world.buffer.returned == [("claims", "scribe-1")]
    assert world.notes == ["scribe-1 did not finish in 0 s: its work returns to the buffer"]


async def test_a_doctor_that_hangs_as_it_leaves_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "ROUND_SECONDS", 0.25)
    world = await World(doctors=2).start()
    world.placement.roles["doctor-1"].actor.hangs = True
    world.resize(doctors=1)
    await world.beat()
    await world.beat()
    await world.beat()
    assert world.placement.roles["doctor-1"].actor.unanswered == 1
    assert world.buffer.returned == [("leases", "doctor-1")] and "doctor-1.1" not in world.placement.roles


async def test_a_doctor_wanted_again_while_one_leaves_is_a_new_one() -> None:
    world = await World(doctors=2).start()
    world.resize(doctors=1)
    await world.beat()
    world.resize(doctors=2)
    await world.beat()
    assert set(world.placement.roles) == {"scribe-0", "doctor-0", "doctor-1", "doctor-1.1"}
    assert not world.placement.roles["doctor-1"].dead.is_set()


async def test_a_fault_of_a_doctor_that_leaves_is_raised() -> None:
    world = await World(doctors=2).start()
    world.resize(doctors=1)
    await world.beat()
    world.placement.roles["doctor-1"].actor.ended.set_exception(remote_error(KeyError("vignette")))
    await settle()
    with pytest.raises(KeyError, match="vignette"):
        await world.beat()


async def one_engine_loads_beside_one() -> World:
    world = await World(engines=1).start()
    world.placement.prepare = lambda engine: engine.may_load.clear()
    world.resize(engines=2)
    await world.beat()
    return world


async def test_heartbeats_continue_while_an_engine_loads_and_it_serves_when_it_has_proved_the_policy() -> None:
    world = await one_engine_loads_beside_one()
    world.placement.roles["doctor-0"].kill()
    await settle()
    await world.beat()
    assert "doctor-0.1" in world.placement.roles and await world.serving() == {"engines-0"}
    assert world.actors("engine") == (1, 2)
    world.placement.engines["engines-1"].actor.may_load.set()
    await settle()
    await world.beat()
    assert await world.serving() == {"engines-0", "engines-1"} and world.actors("engine") == (2, 2)
    assert world.board.total(ENGINE_RESTARTS) == 0


async def test_a_pool_that_answered_before_an_engine_joined_is_no_witness_against_it() -> None:
    world = await one_engine_loads_beside_one()
    state = world.pool.state

    async def slow() -> PoolState:
        answer = await state()
        world.placement.engines["engines-1"].actor.may_load.set()
        await settle()
        return answer

    world.pool.state = slow  # type: ignore[method-assign]
    await world.beat()
    await world.beat()
    assert world.actors("engine") == (2, 2) and world.board.total(ENGINE_RESTARTS) == 0


async def test_engines_load_one_after_another_and_one_that_waits_for_a_gpu_delays_no_other() -> None:
    world = await World(engines=1).start()
    waits: list[FakeEngine] = []

    def prepare(engine: FakeEngine) -> None:
        waits.append(engine)
        (engine.may_start if len(waits) == 1 else engine.may_load).clear()

    world.placement.prepare = prepare
    world.resize(engines=4)
    await world.beat()
    assert len(waits) == 3
    waits[2].may_load.set()
    await settle()
    assert await world.serving() == {"engines-0"}, "engines-2 loads, engines-3 has to wait for it"
    waits[1].may_load.set()
    await settle()
    assert await world.serving() == {"engines-0", "engines-2", "engines-3"}


async def test_an_engine_that_dies_as_it_starts_to_be_one_more_is_replaced() -> None:
    world = await World(engines=1).start()
    world.placement.load_error = lambda engine_id: remote_error(RuntimeError("out of memory"))
    world.resize(engines=2)
    await world.beat()
    assert world.notes == ["engine engines-1 could not start: RuntimeError: out of memory (logs/engines-1.log)"]
    world.placement.load_error = lambda engine_id: None
    await world.beat()
    assert await world.serving() == {"engines-0", "engines-1.1"} and world.board.total(ENGINE_RESTARTS) == 1


async def one_leaves_with_work(world: World) -> tuple[Handle, asyncio.Future[Sampled]]:
    """The second engine, which is wanted no more, and what it is busy with."""
    leaver = world.placement.engines["engines-1"]
    await world.pool.quarantine("engines-0")
    leaver.actor.may_answer.clear()
    asked = asyncio.ensure_future(world.pool.generate("doctor", (), 4, 8, 1.0))
    await settle()
    await world.pool.admit("engines-0", world.placement.engines["engines-0"])
    world.resize(engines=1)
    await world.beat()
    return leaver, asked


async def test_an_engine_too_many_ends_its_sequences_and_then_itself() -> None:
    world = await World().start()
    leaver, asked = await one_leaves_with_work(world)
    assert await world.serving() == {"engines-0"} and not leaver.actor.ended and world.actors("engine") == (1, 1)
    leaver.actor.may_answer.set()
    await settle()
    assert asked.done() and leaver.actor.ended and leaver.dead.is_set() and not leaver.actor.core_killed
    assert world.notes == [] and world.board.total(ENGINE_RESTARTS) == 0


@pytest.mark.usefixtures("impatient")
async def test_what_an_engine_does_not_finish_in_time_is_done_by_another() -> None:
    world = await World().start()
    leaver, asked = await one_leaves_with_work(world)
    assert (await asyncio.wait_for(asked, 5)).completions == ()
    assert leaver.actor.core_killed and not leaver.actor.ended
    assert world.notes == ["engine engines-1 did not drain in 0.01 s: other engines repeat its requests"]


async def test_an_engine_that_dies_as_it_leaves_is_not_replaced() -> None:
    world = await World().start()
    leaver, asked = await one_leaves_with_work(world)
    leaver.kill()
    await asyncio.wait_for(asked, 5)
    await settle()
    await world.beat()
    assert await world.serving() == {"engines-0"} and len(world.placement.engines) == 2
    assert world.board.total(ENGINE_RESTARTS) == 0


async def test_an_engine_that_is_too_many_before_it_has_loaded_loads_and_leaves() -> None:
    world = await one_engine_loads_beside_one()
    world.resize(engines=1)
    await world.beat()
    loading = world.placement.engines["engines-1"]
    assert not loading.dead.is_set(), "killed while it loads, vLLM leaves shared memory behind"
    loading.actor.may_load.set()
    await settle()
    assert loading.actor.ended and loading.dead.is_set() and await world.serving() == {"engines-0"}


async def test_an_engine_that_waits_for_a_gpu_and_is_wanted_no_more_is_killed_at_once() -> None:
    world = await World(engines=1).start()
    world.placement.prepare = lambda engine: engine.may_start.clear()
    world.resize(engines=2)
    await world.beat()
    world.resize(engines=1)
    await world.beat()
    assert world.placement.engines["engines-1"].dead.is_set() and world.notes == []


async def test_a_stop_ends_those_too_that_are_starting_or_leaving() -> None:
    world = await World(engines=2, doctors=2).start()
    world.placement.prepare = lambda engine: engine.may_start.clear()
    world.resize(engines=3, doctors=1)
    await world.beat()
    await world.supervisor.stop()
    placement = world.placement
    assert all(handle.dead.is_set() for handle in (*placement.engines.values(), *placement.roles.values()))


async def test_a_verifiers_pool_grows_and_shrinks_without_the_channel() -> None:
    world = FrozenWorld()
    await world.start()
    world.resize(engines=2)
    await world.beat()
    assert set(await world.frozen.engines()) == {"frozen-0", "frozen-1"}
    assert world.joined == ["engines-0", "engines-1"]
    world.resize(engines=1)
    await world.beat()
    assert set(await world.frozen.engines()) == {"frozen-0"} and world.placement.engines["frozen-1"].actor.ended


SIZES = st.fixed_dictionaries({name: st.integers(1, 4) for name in ("scribes", "doctors", "engines")})


def test_any_sequence_of_sizes_and_deaths_ends_with_the_wanted_actors() -> None:
    killed = Counter[str]()

    @settings(max_examples=40, deadline=None)
    @given(changes=st.lists(st.tuples(SIZES, st.integers(0, 2), st.sampled_from(["", "doctor", "engines"]))))
    def scenario(changes: list[tuple[dict[str, int], int, str]]) -> None:
        asyncio.run(_resized(changes, killed))

    scenario()
    assert killed["doctor"] and killed["engines"], "nobody died in any of them"


async def _resized(changes: list[tuple[dict[str, int], int, str]], killed: Counter[str]) -> None:
    world = await World(engines=1).start()
    wanted = {"scribes": 1, "doctors": 1, "engines": 1}
    for wanted, beats, dies in changes:
        world.resize(**wanted)
        for _ in range(beats):
            await world.beat()
        killed[dies] += _kill_one(world, dies)
        world.restarts.progressed(len(world.placement.roles) + len(world.placement.engines))
        await settle()
    for _ in range(4):
        for role, name in world.buffer.retired:
            assert name.startswith(role)
            ended = world.placement.roles[name].actor.ended
            if not ended.done():
                ended.set_result(None)
        await settle()
        await world.beat()
    kinds = [name.split("-")[0] for name, handle in world.placement.roles.items() if not handle.dead.is_set()]
    assert (kinds.count("scribe"), kinds.count("doctor")) == (wanted["scribes"], wanted["doctors"])
    serving = await world.serving()
    assert len(serving) == wanted["engines"]
    assert {name for name, h in world.placement.engines.items() if not h.dead.is_set()} == serving


def _kill_one(world: World, kind: str) -> int:
    """How many were killed: one, or none where none lives."""
    actors = {**world.placement.roles, **world.placement.engines} if kind else {}
    alive = [h for name, h in actors.items() if name.startswith(kind) and not h.dead.is_set()][-1:]
    for handle in alive:
        handle.kill()
    return len(alive)
