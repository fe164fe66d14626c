from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from actors.engine_pool import EnginePool
from common.config import PoolSpec, RunSpec, ScribeSpec, WeightsSpec
from common.records import Message, Sampled
from deploy.cluster.placement import Placement
from deploy.job import verifier_exam
from envs.contract.env import Complete, Exam
from envs.verdict.scribe.verifier import Choice
from envs.verdict.scribe.verifier import exam as ask_all
from envs.verdict.spec import DataSpec, VerdictSettings
from learner.bounds import BOUNDS
from learner.channel import Channel
from simulator.fakes import Handle
from tests.actors.fake_env import FakeEnv, completion
from tests.learner.channel_world import PROBE, FakeEngine, FakeRank

NOTE = ("He coughs.", "He is given amoxicillin.")
PAIRS = [Choice(sentences=NOTE, at=1, original=f"Right {n}.", other=f"Wrong {n}.") for n in range(160)]
PROBES = [Choice(sentences=NOTE, at=1, original=f"Same {n}.", other=f"Same again {n}.") for n in range(160)]
FROZEN = RunSpec(
    pools=(PoolSpec(), PoolSpec(name="frozen", serves=("verifier",))),
    envs=(VerdictSettings(data=DataSpec(tier_c=True)),),
)


class Examined(FakeEnv):
    async def exam(self, ask: Complete) -> Exam:
        return (await ask_all(PAIRS, PROBES, ask)).as_exam()


class Pool:
    """A frozen model that knows right from wrong, or always says A."""

    def __init__(self, knows: bool) -> None:
        self.knows = knows

    async def generate(
        self, role: str, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float, likely: int
    ) -> Sampled:
        assert role == "verifier" and likely == 20
        found = re.search("\nA: (.*)\nB: (.*)", messages[-1].content)
        assert found is not None
        gap = 3.0 * (found[1].startswith("Right") - found[2].startswith("Right")) if self.knows else 3.0
        first = (("A", -1.0 + gap / 2), ("B", -1.0 - gap / 2))
        return Sampled(prompt_ids=(7,), completions=(msgspec.structs.replace(completion("A"), first=first),))


async def test_a_verifier_that_passes_is_reported_and_recorded(tmp_path: Path) -> None:
    notes: list[str] = []
    assert await verifier_exam.run_exam(Examined(), Handle(Pool(knows=True)), FROZEN, tmp_path, notes.append)
    assert len(notes) == 1 and "accepts 80 of 80 errors and 0 of 80 changes" in notes[0]
    written = json.loads((tmp_path / "exam.json").read_text())
    assert written["passed"] and written["result"]["threshold"] == 3.0 and written["result"]["lower"] > 0.95


async def test_the_plan_shows_how_the_same_verifier_did_and_forgets_it_with_other_notes(tmp_path: Path) -> None:
    spec = FROZEN.model_copy(update={"runs": tmp_path})
    (tmp_path / "first").mkdir()
    assert await verifier_exam.run_exam(Examined(), Handle(Pool(knows=True)), spec, tmp_path / "first", lambda _: None)
    assert verifier_exam.planned(spec).endswith("(needs 95%), in run first")
    other = spec.model_copy(update={"envs": (VerdictSettings(data=DataSpec(tier_c=True, path="other.csv")),)})
    assert verifier_exam.planned(other).endswith("with 95% confidence")
    pools = (PoolSpec(), PoolSpec(name="frozen", serves=("verifier",), model="base"))
    assert verifier_exam.planned(spec.model_copy(update={"pools": pools})).endswith("with 95% confidence")


async def test_a_verifier_that_fails_leaves_the_run_without_tier_c(tmp_path: Path) -> None:
    notes: list[str] = []
    assert not await verifier_exam.run_exam(Examined(), Handle(Pool(knows=False)), FROZEN, tmp_path, notes.append)
    assert len(notes) == 1 and notes[0].startswith("verifier exam failed: no margin picks out")
    assert notes[0].endswith("; going on without tier C")
    assert json.loads((tmp_path / "exam.json").read_text())["passed"] is False


async def test_a_scribe_that_has_nothing_to_learn_from_is_reported(tmp_path: Path) -> None:
    notes: list[str] = []
    spec = FROZEN.model_copy(update={"scribe": ScribeSpec(train=True)})
    assert not await verifier_exam.run_exam(Examined(), Handle(Pool(knows=False)), spec, tmp_path, notes.append)
    assert notes[0].endswith("; going on without tier C, so the Scribe learns nothing")


async def test_a_frozen_pool_is_never_published_to() -> None:
    log: list[str] = []
    placement = Placement(FROZEN, Examined(), print)
    policy, frozen = EnginePool("engines"), EnginePool("frozen")
    placement.pools = {"engines": Handle(policy), "frozen": Handle(frozen)}
    channel = Channel(WeightsSpec(), [Handle(FakeRank(log))], placement.synced_pools, PROBE, BOUNDS["float32"])
    assert (await channel.join(placement.pools["engines"], "e", Handle(FakeEngine("e", log)))).ok
    await frozen.admit("f", Handle(FakeEngine("f", log)))
    outcome = await channel.publish(1)
    assert outcome.ok and outcome.proved == ("e",) and "send 1 to e" in log
    assert not any(line.endswith(" f") for line in log)
    assert len(await channel.fresh_rollouts()) == 1
    assert placement.frozen_pools == [placement.pools["frozen"]]


async def test_a_trained_scribes_pool_follows_the_scribe_and_not_the_doctor() -> None:
    pools = (PoolSpec(serves=("doctor",)), PoolSpec(name="scribes", serves=("scribe",)), FROZEN.pools[1])
    spec = RunSpec(pools=pools, envs=(VerdictSettings(data=DataSpec(tier_c=True)),), scribe=ScribeSpec(train=True))
    placement = Placement(spec, Examined(), print)
    placement.pools = {pool.name: Handle(EnginePool(pool.name)) for pool in pools}
    assert placement.scribe_pools == [placement.pools["scribes"]]
    assert placement.synced_pools == [placement.pools["engines"]]
    untrained = Placement(spec.model_copy(update={"scribe": ScribeSpec()}), Examined(), print)
    untrained.pools = placement.pools
    assert untrained.scribe_pools == [] and len(untrained.synced_pools) == 2
