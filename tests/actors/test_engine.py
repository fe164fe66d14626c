"""One real vLLM engine on the tiny model: sampling, weight updates, and every way in which an update must not pass."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from actors.engine import Engine, PromptTooLong
from actors.engine_errors import EngineDied
from actors.engine_pool import EnginePool
from common.config import LearnerSpec
from common.weights import Canary, Probe
from learner.channel import Channel
from learner.policy import Policy, load_policy, merged_weights, sequence_logps
from tests.actors.engine_cases import (
    BOUND,
    MESSAGES,
    FullRank,
    Handle,
    IdleRank,
    engine_spec,
    mean_difference,
    moved_policy,
    stepped_policy,
    update,
    vllm_environment,
    write_segment,
)

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SPEC = engine_spec()
AGREES, APART = BOUND.floor, BOUND.ceiling
"""Nats. Mean differences at which engine and learner hold the same weights, and other ones."""


class RepairableEngine(Engine):
    """The production engine, with a worker whose repair of tied heads can be switched off."""

    def _arguments(self, folder: Path) -> Any:
        arguments = super()._arguments(folder)
        arguments.worker_extension_cls = "tests.actors.stale_head_worker.StaleHeadWorker"
        return arguments

    async def repair_tied_heads(self, on: bool) -> None:
        await self._llm.collective_rpc("repair_tied_heads", args=(on,))


@pytest.fixture(scope="module")
async def engine(tiny_model: Path) -> AsyncIterator[RepairableEngine]:
    with vllm_environment(SPEC):
        engine = RepairableEngine(SPEC, SPEC.pools[0], "e0")
        await engine.load(tiny_model)
        yield engine
        await engine.shutdown()


@pytest.fixture(scope="module")
def fresh(tiny_model: Path) -> Policy:
    return load_policy(tiny_model, LearnerSpec(lora_rank=0, gradient_checkpointing=False), "cpu", seed=0)


@pytest.fixture
def segment() -> Iterator[Path]:
    path = Path(f"/dev/shm/medserl-test-{os.getpid()}")
    yield path
    for left in path.parent.glob(f"{path.name}*"):  # with what an engine that failed left of its progress
        left.unlink()


async def canary_ids(engine: Engine) -> tuple[int, ...]:
    return (await engine.tokenize(MESSAGES))[:96]


async def gap(engine: Engine, policy: Policy) -> float:
    """The engine's canary against a policy, nats."""
    ids = await canary_ids(engine)
    report = await engine.prove(ids)
    return Canary(token_ids=ids, logps=tuple(sequence_logps(policy.module, ids))).gap(report.canary_logps)


async def channel_to(engine: Engine, rank: Any, **replaced: Any) -> tuple[Channel, EnginePool]:
    pool = EnginePool("engines")
    await pool.admit("e0", Handle(engine, **replaced))
    ids = await canary_ids(engine)
    probe = Probe(canary_ids=ids, prompt_ids=ids, completions=2, max_tokens=8, temperature=1.0)
    return Channel(SPEC.weights, [Handle(rank)], [Handle(pool)], probe, BOUND, loaded_gap=0.0), pool


async def test_a_reply_ends_with_the_templates_end_of_turn_whatever_the_models_own_end_is(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (free,) = (await engine.generate(MESSAGES, 1, 24, 0.0)).completions
    ids = free.token_ids.tolist()
    assert len(set(ids)) > 4, "the text of this model repeats itself too soon"
    end = next(at for at in range(3, len(ids)) if ids[at] not in ids[:at])
    monkeypatch.setattr(engine._chat, "end_of_turn", ids[end])
    (ended,) = (await engine.generate(MESSAGES, 1, 24, 0.0)).completions
    assert ended.token_ids.tolist() == ids[: end + 1] and ended.finish_reason == "stop"


async def test_sampled_log_probs_agree_with_the_learner_and_every_token_carries_its_version(
    engine: Engine, fresh: Policy
) -> None:
    sampled = await engine.generate(MESSAGES, 4, 48, 1.0)
    assert len(sampled.completions) == 4
    for completion in sampled.completions:
        assert completion.engine == "e0"
        assert len(completion.logps) == len(completion.token_ids) == len(completion.versions) <= 48
        assert set(completion.versions) == {0}
    assert len({tuple(completion.token_ids) for completion in sampled.completions}) == 4
    assert mean_difference(fresh, sampled, 0) < AGREES
    assert await gap(engine, fresh) < AGREES


async def test_sampled_log_probs_are_of_the_tempered_distribution(engine: Engine, fresh: Policy) -> None:
    sampled = await engine.generate(MESSAGES, 1, 8, 0.25)
    assert mean_difference(fresh, sampled, 0) > 0.05
    ids, completion = sampled.prompt_ids, sampled.completions[0]
    with torch.no_grad():
        logits_TV = fresh.module(torch.tensor([[*ids, *completion.token_ids]])).logits[0, len(ids) - 1 : -1].float()
    tempered = (logits_TV / 0.25).log_softmax(-1)[range(len(completion.token_ids)), list(completion.token_ids)]
    assert (tempered - torch.tensor(completion.logps)).abs().mean() < 4 * AGREES


async def test_an_engine_repeats_its_draws_after_it_proved_the_same_version_again(engine: Engine) -> None:
    ids = await canary_ids(engine)

    async def two_replies() -> list[list[int]]:
        await engine.prove(ids)
        return [(await engine.sample(ids, 1, 32, 1.0)).completions[0].token_ids.tolist() for _ in range(2)]

    first, second = await two_replies()
    assert first != second
    assert await two_replies() == [first, second]


async def test_a_heartbeat_reports_how_full_the_kv_cache_was_since_the_last_one(engine: Engine) -> None:
    await engine.generate(MESSAGES, 4, 48, 1.0)
    assert 0 < await engine.check_health() < 1
    await asyncio.sleep(0.2)  # vLLM tells of the step that freed the cache after its outputs
    await engine.check_health()
    assert await engine.check_health() == 0


async def test_a_prompt_that_leaves_no_room_for_the_completion_is_refused(engine: Engine) -> None:
    with pytest.raises(PromptTooLong, match=r"exceed model\.context 768"):
        await engine.generate(MESSAGES, 1, 760, 1.0)


async def test_tokens_in_flight_carry_both_versions_and_the_canary_holds_the_new_policy(
    engine: Engine, fresh: Policy, tiny_model: Path, segment: Path
) -> None:
    moved = moved_policy(tiny_model, SPEC, seed=1)
    assert await gap(engine, moved) > APART
    channel, pool = await channel_to(engine, FullRank(moved, segment))
    running = asyncio.create_task(engine.generate(MESSAGES, 4, 500, 1.0))
    await asyncio.sleep(0.5)
    outcome = await channel.publish(1)
    sampled = await running
    assert outcome.ok and outcome.version == 1 and outcome.canary_gap < AGREES
    assert 0 < outcome.pause_seconds <= outcome.seconds
    assert set(await pool.engines()) == {"e0"}
    for completion in sampled.completions:
        assert list(completion.versions) == sorted(completion.versions)
    assert {version for completion in sampled.completions for version in completion.versions} == {0, 1}
    assert mean_difference(fresh, sampled, 0) < AGREES
    assert await gap(engine, moved) < AGREES < await gap(engine, fresh)
    later = await engine.generate(MESSAGES, 2, 32, 1.0)
    assert {version for completion in later.completions for version in completion.versions} == {1}
    assert mean_difference(moved, later, 1) < AGREES


async def test_a_skipped_sync_is_caught_by_the_checksum(engine: Engine, tiny_model: Path) -> None:
    channel, pool = await channel_to(engine, IdleRank(moved_policy(tiny_model, SPEC, seed=2), "0badcafe"))
    outcome = await channel.publish(2)
    assert "prove: checksum" in outcome.failures["e0"]
    assert not await pool.engines()


async def test_a_skipped_sync_is_caught_by_the_version(engine: Engine, tiny_model: Path) -> None:
    async def resume_as_before(version: int) -> None:
        await engine.resume(2)

    rank = IdleRank(moved_policy(tiny_model, SPEC, seed=2), "0badcafe")
    channel, pool = await channel_to(engine, rank, resume=resume_as_before)
    outcome = await channel.publish(3)
    assert outcome.failures["e0"] == "prove: holds policy_version 2 instead of 3"
    assert not await pool.engines()


async def test_a_skipped_sync_with_forged_version_and_checksum_is_caught_by_the_canary(
    engine: Engine, tiny_model: Path
) -> None:
    held = (await engine.prove(await canary_ids(engine))).checksum
    channel, pool = await channel_to(engine, IdleRank(moved_policy(tiny_model, SPEC, seed=2), held))
    outcome = await channel.publish(4)
    assert "prove: canary log-probs differ" in outcome.failures["e0"]
    assert outcome.canary_gap > APART
    assert not await pool.engines()


async def test_a_skipped_sync_of_one_small_step_is_caught_by_the_canary(
    engine: Engine, tiny_model: Path, segment: Path
) -> None:
    ids = await canary_ids(engine)
    channel, _ = await channel_to(engine, FullRank(load_policy(tiny_model, SPEC.learner, "cpu", seed=0), segment))
    outcome = await channel.publish(5)
    assert outcome.ok and outcome.canary_gap < AGREES
    held = (await engine.prove(ids)).checksum
    channel, pool = await channel_to(engine, IdleRank(stepped_policy(tiny_model, ids), held))
    outcome = await channel.publish(6)
    assert "prove: canary log-probs differ" in outcome.failures["e0"]
    assert not await pool.engines()


@pytest.mark.parametrize("sent", ["tied head left out", "tied head sent too"])
async def test_a_tied_head_goes_stale_without_the_repair_and_the_canary_sees_it(
    engine: RepairableEngine, tiny_model: Path, segment: Path, sent: str
) -> None:
    gaps = {}
    for repaired in (False, True):
        policy = moved_policy(tiny_model, SPEC, seed=5 + repaired)
        tensors = dict(merged_weights(policy, torch.float32))
        embedding = tensors["model.embed_tokens.weight"]
        if sent == "tied head sent too":
            tensors["lm_head.weight"] = embedding
        await engine.repair_tied_heads(repaired)
        await update(engine, write_segment(segment, tensors), 7)
        gaps[repaired] = await gap(engine, policy)
    assert gaps[True] < AGREES
    if sent == "tied head left out":
        assert gaps[False] > APART


async def test_a_damaged_segment_fails_with_the_tensor_and_the_next_try_heals_the_engine(
    engine: Engine, tiny_model: Path, segment: Path
) -> None:
    policy = moved_policy(tiny_model, SPEC, seed=7)
    rank = FullRank(policy, segment, damaged_sends=1)
    channel, pool = await channel_to(engine, rank)
    outcome = await channel.publish(8)
    assert outcome.ok, outcome.failures
    assert rank.damaged_tensor and await gap(engine, policy) < AGREES
    assert set(await pool.engines()) == {"e0"}


async def test_a_segment_damaged_twice_quarantines_the_engine_and_names_the_tensor(
    engine: Engine, tiny_model: Path, segment: Path
) -> None:
    rank = FullRank(moved_policy(tiny_model, SPEC, seed=8), segment, damaged_sends=2)
    channel, pool = await channel_to(engine, rank)
    outcome = await channel.publish(9)
    assert f"tensor {rank.damaged_tensor} arrived damaged" in outcome.failures["e0"]
    assert not await pool.engines()


async def test_the_death_of_the_core_is_seen_and_leaves_nothing_in_shared_memory(engine: Engine) -> None:
    here, *children = engine.process_ids()
    assert here == os.getpid()
    cores = [pid for pid in children if "EngineCore" in psutil.Process(pid).name()]
    os.kill(cores[0], signal.SIGKILL)
    with pytest.raises(EngineDied):
        for _ in range(100):
            await engine.check_health()
            await asyncio.sleep(0.1)
    maps = Path(f"/proc/{here}/maps").read_text()
    assert not [path for path in re.findall(r"/dev/shm/psm_\w+", maps) if Path(path).exists()]
