"""What a supervisor adds up and shows of its actors."""

from __future__ import annotations

from common.metrics import BUFFER_STATES, COMPLETIONS, KV_USE, PHASE, TASKS
from simulator.fakes import settle
from tests.actors.supervisor_world import World


async def test_the_fullest_kv_cache_is_shown_for_each_role_that_its_pool_serves() -> None:
    world = await World().start()
    world.placement.engines["engines-0"].actor.kv_use = 0.25
    world.placement.engines["engines-1"].actor.kv_use = 0.75
    await world.supervisor.beat()
    shown = {role: world.board.registry.get_sample_value(KV_USE.name, {"role": role}) for (role,) in KV_USE.series}
    assert shown == {"scribe": 0.75, "doctor": 0.75, "verifier": 0.0}


async def test_counts_survive_the_rebirth_of_their_actor() -> None:
    world = await World().start()
    world.placement.roles["scribe-0"].actor.made = 7
    await world.beat()
    world.placement.roles["scribe-0"].kill()
    await settle()
    await world.beat()
    world.placement.roles["scribe-0.1"].actor.made = 2
    await world.beat()
    await world.beat()
    assert world.board.total(TASKS, "game", "kind") == 9
    assert world.board.total(COMPLETIONS, "doctor") == 0


async def test_a_new_buffer_counts_from_0_on_top_of_what_the_dead_one_counted() -> None:
    world = await World().start()
    world.buffer.counts = {(TASKS.name, ("game", "kind")): 5}
    await world.beat()
    world.buffer_handle.kill()
    await world.supervisor.new_buffer(1)
    world.placement.buffers[-1].actor.counts = {(TASKS.name, ("game", "kind")): 2}
    await world.beat()
    assert world.board.total(TASKS, "game", "kind") == 7


async def test_actors_of_a_second_attempt_count_from_0_on_top_of_those_of_the_first() -> None:
    first = await World().start()
    first.placement.roles["scribe-0"].actor.made = 7
    await first.beat()
    second = await World(board=first.board).start()
    second.placement.roles["scribe-0"].actor.made = 2
    await second.beat()
    assert first.board.total(TASKS, "game", "kind") == 9


async def test_an_actor_kind_is_busy_while_any_of_its_actors_is() -> None:
    world = await World(doctors=2).start()
    world.placement.roles["doctor-0"].actor.busy = True  # doctor-1, heard after it, waits
    await world.beat()
    assert world.sample(PHASE.name, actor="doctor") == 1 and world.sample(PHASE.name, actor="scribe") == 0
    world.placement.roles["doctor-0"].actor.busy = False
    await world.beat()
    assert world.sample(PHASE.name, actor="doctor") == 0


async def test_the_buffers_states_are_on_the_board() -> None:
    world = await World().start()
    await world.beat()
    assert all(world.sample("medserl_buffer_tasks", state=state) == 1 for state in BUFFER_STATES)
    assert [world.sample(f"medserl_buffer_{name}") for name in ("made", "claimed", "imbalance")] == [6, 2, 0]
