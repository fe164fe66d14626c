from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.exceptions import ActorDiedError

from common.errors import ActorLost
from common.weights import SyncOutcome
from learner.bounds import BOUNDS, LOADED
from simulator import virtual
from simulator.fakes import Handle, remote_error
from tests.learner.channel_world import PROBE, FakeEngine, World


async def test_an_engine_just_loaded_proves_the_start_without_a_transfer_and_sets_the_tolerance() -> None:
    world = World()
    await world.add("a", noise=0.04)
    assert world.log == ["prove a"]
    assert world.channel.loaded_gap == pytest.approx(0.04)
    assert world.channel.tolerance == pytest.approx(0.06)
    assert await world.serving() == {"a"}


async def test_fresh_rollouts_come_from_every_engine_that_serves_and_answers() -> None:
    world = World()
    assert await world.channel.fresh_rollouts() == ()
    await world.add("a")
    await world.add("b", hangs="sample")
    await world.add("c", dies="sample")
    await world.add("d")
    samples = await world.channel.fresh_rollouts()
    assert [sampled.completions[0].engine for sampled in samples] == ["a", "d"]
    assert {"sample b", "sample c"} <= set(world.log), "both were asked"
    assert {(*sampled.prompt_ids, len(sampled.completions)) for sampled in samples} == {(1, 2, 2 * LOADED)}
    assert {len(one.token_ids) for sampled in samples for one in sampled.completions} == {PROBE.max_tokens}


async def test_the_first_fresh_rollouts_that_an_engine_gives_are_more_than_those_of_later_steps() -> None:
    world = World()
    await world.add("a", hangs="sample")
    counts = []
    for engine in ("", "b", ""):
        if engine:
            await world.add(engine)
        counts.append([len(sampled.completions) for sampled in await world.channel.fresh_rollouts()])
    assert counts == [[], [2 * LOADED], [2]]


@pytest.mark.parametrize(("dtype", "floor"), [("bfloat16", 0.01), ("float32", 0.001)])
async def test_the_tolerance_never_falls_below_the_floor_of_the_dtype(dtype: str, floor: float) -> None:
    world = World(dtype=dtype)
    await world.add("a", noise=0.0001)
    assert world.channel.tolerance == floor


@pytest.mark.parametrize(("dtype", "ceiling"), [("bfloat16", 0.2), ("float32", 0.01)])
async def test_the_first_engine_cannot_excuse_any_disagreement(dtype: str, ceiling: float) -> None:
    world = World(dtype=dtype)
    engine = FakeEngine("a", world.log, noise=0.35)
    outcome = await world.channel.join(world.pool_handle, "a", Handle(engine))
    assert f"differ by 0.3500 nats on average, tolerated {ceiling:.4f}" in outcome.failures["a"]
    assert await world.serving() == set()


@pytest.mark.parametrize(("dtype", "serves"), [("bfloat16", True), ("float32", False)])
async def test_float32_sees_a_gap_that_rounding_would_explain_in_bfloat16(dtype: str, serves: bool) -> None:
    world = World(dtype=dtype)
    await world.add("a")
    late = FakeEngine("late", world.log, noise=0.004)
    assert (await world.channel.join(world.pool_handle, "late", Handle(late))).ok == serves


@given(first=st.floats(0, 1), factor=st.floats(1, 10), dtype=st.sampled_from(sorted(BOUNDS)))
def test_what_is_tolerated_lies_between_floor_and_ceiling(first: float, factor: float, dtype: str) -> None:
    bounds = BOUNDS[dtype]
    tolerated = bounds.tolerance(first, factor)
    assert bounds.floor <= tolerated <= bounds.ceiling
    assert tolerated in (bounds.floor, bounds.ceiling, factor * first)


async def test_a_publish_stages_then_pauses_all_sends_once_resumes_and_proves() -> None:
    world = World()
    a, b = await world.add("a"), await world.add("b")
    world.log.clear()
    outcome = await world.channel.publish(1)
    assert outcome.ok and (outcome.version, outcome.pause_seconds) == (1, 0.5)
    phases = ["stage", *["pause"] * 2, "send", *["resume"] * 2, *["prove"] * 2]
    assert [line.split()[0] for line in world.log] == phases
    assert (a.version, b.version) == (1, 1) and world.channel.version == 1


async def test_every_rank_takes_part_in_send_and_canary() -> None:
    world = World(ranks=2)
    await world.add("a")
    await world.channel.publish(1)
    assert world.log.count("send 1 to a") == 2 and [rank.canaries for rank in world.ranks] == [2, 2]


async def test_the_adapter_transport_pauses_nothing() -> None:
    world = World(transport="adapter")
    a = await world.add("a")
    a.version = 1  # load_adapter, which the sender calls, names the version
    assert (await world.channel.publish(1)).ok
    assert world.log == ["prove a", "stage 1", "send 1 to a", "prove a"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"hangs": "pause"}, "pause: no answer within 0.05 s"),
        ({"hangs": "resume"}, "resume: no answer within 0.05 s"),
        ({"hangs": "prove"}, "prove: no answer within 0.05 s"),
        ({"dies": "pause"}, "pause: The actor died unexpectedly"),
        ({"dies": "resume"}, "resume: The actor died unexpectedly"),
        ({"dies": "prove"}, "prove: The actor died unexpectedly"),
        ({"transfer_fails": True}, "transfer, update_weights: tensor model.norm.weight arrived damaged"),
        ({"stuck_version": True}, "prove: holds policy_version 0 instead of 1"),
        ({"wrong_checksum": True}, "prove: checksum 00000000 instead of sum-1"),
        ({"deaf": True}, "prove: canary log-probs differ by 0.2500 nats on average, tolerated 0.0100"),
        ({"nan": True}, "prove: canary log-probs are not all finite numbers"),
    ],
)
async def test_an_engine_that_fails_twice_is_quarantined_by_name_and_phase(fault: dict[str, Any], said: str) -> None:
    world = World()
    good, bad = await world.add("good"), await world.add("bad", **fault)
    outcome = await world.channel.publish(1)
    assert not outcome.ok and list(outcome.failures) == ["bad"]
    assert outcome.failures["bad"].startswith(said)
    assert await world.serving() == {"good"} and good.version == 1
    assert bad.tries == (0 if "pause" in fault.values() else 2)
    assert world.log.count("resume good") == 1, "a good engine is not paused again for a bad one"


async def test_an_engine_that_recovers_at_the_second_try_continues_serving() -> None:
    world = World()
    await world.add("good")
    bad = await world.add("bad", transfer_fails=True)
    sync = asyncio.ensure_future(world.channel.publish(1))
    while not bad.tries:
        await asyncio.sleep(0)
    bad.transfer_fails = False
    outcome = await sync
    assert outcome.ok and await world.serving() == {"good", "bad"} and bad.tries == 2


async def test_an_engine_whose_error_is_remote_is_reported_by_its_last_line() -> None:
    class Faulty(FakeEngine):
        async def resume(self, version: int) -> None:
            raise remote_error(AssertionError("workers received different weights"))

    world = World()
    await world.add("good")
    await world.pool.admit("bad", Handle(Faulty("bad", world.log)))
    outcome = await world.channel.publish(1)
    assert outcome.failures == {"bad": "resume: AssertionError: workers received different weights"}


async def test_a_rank_that_hangs_in_the_transfer_ends_the_run_by_name() -> None:
    world = World(timeout_seconds=0.01)
    await world.add("a")
    world.ranks[0].send = lambda version, engines: asyncio.Event().wait()  # type: ignore[method-assign,assignment]
    with pytest.raises(ActorLost, match=r"weight sync 1: send for a: the learner did not finish within 0.04 s"):
        await world.channel.publish(1)


@pytest.mark.parametrize("phase", ["stage", "send", "canary"])
async def test_a_rank_that_dies_in_a_sync_is_lost_by_its_number_and_phase(phase: str) -> None:
    world = World(ranks=2, timeout_seconds=5)
    await world.add("a")

    def die(*arguments: Any) -> None:
        raise ActorDiedError()

    setattr(world.ranks[1], phase, die)
    with pytest.raises(ActorLost, match=f"learner rank 1 died while it was asked to {phase} policy_version 1"):
        await world.channel.publish(1)


async def test_a_rank_that_cannot_stage_a_version_leaves_the_engines_on_the_one_before() -> None:
    world = World(timeout_seconds=0.01)
    engine = await world.add("a")
    world.log.clear()
    world.ranks[0].stage = lambda version: asyncio.Event().wait()  # type: ignore[method-assign,assignment]
    with pytest.raises(ActorLost, match="stage for a"):
        await world.channel.publish(1)
    assert world.log == [] and engine.version == 0 and await world.serving() == {"a"}


async def test_a_late_engine_serves_only_after_a_whole_sync() -> None:
    world = World()
    await world.add("a")
    await world.channel.publish(1)
    world.log.clear()
    late = await world.add("late")
    assert world.log == ["stage 1", "pause late", "send 1 to late", "resume late", "prove late"]
    assert (late.version, late.weights) == (1, 1) and await world.serving() == {"a", "late"}
    assert (await world.channel.publish(2)).ok and late.version == 2


async def test_a_late_engine_that_cannot_prove_the_policy_is_not_admitted() -> None:
    world = World()
    await world.add("a")
    await world.channel.publish(1)
    late = FakeEngine("late", world.log)
    late.deaf = True
    outcome = await world.channel.join(world.pool_handle, "late", Handle(late))
    assert "canary" in outcome.failures["late"] and await world.serving() == {"a"}


async def test_a_resumed_run_syncs_its_engines_and_keeps_its_tolerance() -> None:
    world = World(version=4, loaded_gap=0.1)
    engine = await world.add("a")
    assert world.log == ["stage 4", "pause a", "send 4 to a", "resume a", "prove a"] and engine.version == 4
    assert world.channel.loaded_gap == 0.1


async def test_the_first_engine_cannot_set_the_tolerance_with_nan() -> None:
    world = World()
    broken = FakeEngine("a", world.log)
    broken.nan = True
    outcome = await world.channel.join(world.pool_handle, "a", Handle(broken))
    assert "not all finite" in outcome.failures["a"] and world.channel.loaded_gap is None
    await world.add("a.1")
    assert world.channel.loaded_gap == 0.0


async def test_a_publish_with_no_engine_left_still_makes_the_version() -> None:
    world = World()
    outcome = await world.channel.publish(1)
    assert world.channel.version == 1 and not outcome.ok and not outcome.failures, "no engine proved it"
    late = await world.add("late")
    assert late.version == 1


async def test_an_engine_joins_between_two_publishes_never_within_one() -> None:
    world = World()
    await world.add("a")
    publish = asyncio.ensure_future(world.channel.publish(1))
    join = asyncio.ensure_future(world.add("late"))
    await asyncio.gather(publish, join)
    assert world.log.index("prove a", 1) < world.log.index("pause late")
    assert (await join).version == 1


async def test_the_next_version_waits_for_who_holds_this_one_and_joining_engines_do_not() -> None:
    world = World()
    await world.add("a")
    await world.channel.publish(1)
    async with world.channel.hold() as version:
        publishing = asyncio.ensure_future(world.channel.publish(2))
        await world.add("late")
        assert version == 1 == world.channel.version and not publishing.done()
        assert await world.serving() == {"a", "late"}
    assert (await publishing).proved == ("a", "late") and world.channel.version == 2


async def test_no_engine_joins_between_the_learners_step_and_its_publication() -> None:
    world = World()
    await world.add("a")
    await world.channel.begin_change()
    world.ranks[0].version = 1  # the optimiser step
    join = asyncio.ensure_future(world.add("late"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.log == ["prove a"]
    assert (await world.channel.publish(1)).ok
    assert (await join).version == 1 and world.log.index("prove a", 1) < world.log.index("stage 1", 5)


async def test_an_engine_leaves_between_two_publishes_never_within_one() -> None:
    world = World()
    await world.add("a")
    await world.add("b")
    publish = asyncio.ensure_future(world.channel.publish(1))
    await asyncio.sleep(0)
    leave = asyncio.ensure_future(world.channel.leave(world.pool_handle, "b"))
    outcome = await publish
    assert outcome.ok and set(outcome.proved) == {"a", "b"}
    await leave
    assert (await world.channel.publish(2)).proved == ("a",)


async def test_a_publish_that_fails_lets_engines_join_again() -> None:
    world = World(timeout_seconds=0.01)
    await world.add("a")
    send, world.ranks[0].send = world.ranks[0].send, lambda *_: asyncio.Event().wait()  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="did not finish"):
        await world.channel.publish(1)
    world.ranks[0].send = send  # type: ignore[method-assign]
    assert (await asyncio.wait_for(world.add("late"), 2)).version == 1


def test_several_hanging_engines_cost_one_deadline_a_phase() -> None:
    world = World(timeout_seconds=60)

    async def publish() -> SyncOutcome:
        for number in range(4):
            await world.add(f"e{number}", hangs="pause")
        return await world.channel.publish(1)

    outcome = virtual.run(publish())
    assert len(outcome.failures) == 4 and outcome.seconds == pytest.approx(120)  # two tries of one deadline each
