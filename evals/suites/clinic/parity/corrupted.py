"""The clinic with one fault each: what the negative controls look at."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import msgspec

from common.records import Episode, Label, Reward, Task, Tool
from envs.adapters.bioagent import BioAgentEnv
from envs.clinic import tasks
from envs.clinic.diagnosis.domain import Diagnosis
from envs.clinic.diagnosis.tools import GIVE, NOTE
from envs.clinic.domain import Case, Grade, Parameters, Violation, Weights
from envs.clinic.domains import kit_name, split_kit
from envs.clinic.environment import Clinic
from envs.clinic.guidelines import Compliance, Recommendation
from envs.clinic.instruments import Instrument
from envs.clinic.interactions.domain import Interactions
from envs.clinic.release import Listed, listed
from envs.clinic.reward import reward_of
from envs.clinic.scores.score import Result
from envs.clinic.world import AGENT, World
from envs.contract.call_text import Refused, read_python
from envs.contract.calls import Call, Fault, parse
from envs.contract.env import Slot
from evals.suites.clinic.parity.parts import DIAGNOSIS, DRUGS, TRIAGE, Parts


def cannot_begin(parts: Parts) -> Parts:
    """As in the source, the tasks of one domain cannot be reset."""

    def begin(env: Clinic, task: Task) -> Any:
        if task.context["domain"] == TRIAGE:
            raise ValueError("no tools")
        return parts.begin(env, task)

    return parts._replace(begin=begin)


def requires_nothing(parts: Parts) -> Parts:
    """One tool's schema has no required argument."""

    def instruments(kit: str) -> Mapping[str, Instrument]:
        known = dict(parts.instruments(kit))
        name, one = next((name, one) for name, one in known.items() if one.ends)
        lax = Tool(name=name, description=one.tool.description, parameters={**one.tool.parameters, "required": []})
        return {**known, name: one._replace(tool=lax)}

    return parts._replace(instruments=instruments)


def lists_twice(parts: Parts) -> Parts:
    """One release task stands in the place of another."""

    def twice(domain: str) -> tuple[Listed, ...]:
        rows = listed(domain)
        return rows if domain != DRUGS else (*rows[:-1], msgspec.structs.replace(rows[0], name=rows[-1].name))

    return parts._replace(listed=twice)


class _Graver(Interactions):
    """Moderate interactions are labelled as major."""

    def make(self, tier: str, parameters: Parameters, twin: int) -> Case:
        """See Interactions."""
        case = super().make(tier, parameters, twin)
        answer = case.truth.answer
        if answer["severity"] != "moderate":
            return case
        truth = msgspec.structs.replace(case.truth, answer={**answer, "severity": "major"}, klass="severity major")
        return msgspec.structs.replace(case, truth=truth)


class _Misdiagnosed(Diagnosis):
    """Hyperglycaemia is labelled as a hyperosmolar state."""

    def make(self, tier: str, parameters: Parameters, twin: int) -> Case:
        """See Diagnosis."""
        case = super().make(tier, parameters, twin)
        answer = case.truth.answer
        if answer["diagnosis"] != "E11.65":
            return case
        truth = msgspec.structs.replace(case.truth, answer={**answer, "diagnosis": "E11.00"})
        return msgspec.structs.replace(case, truth=truth)


def misdiagnoses(parts: Parts) -> Parts:
    """See `_Misdiagnosed`."""
    return parts._replace(domains={**parts.domains, DIAGNOSIS: _Misdiagnosed()})


def graver(parts: Parts) -> Parts:
    """Labels of drugs that are not what label texts say."""
    return parts._replace(domains={**parts.domains, DRUGS: _Graver()})


def shifted(parts: Parts) -> Parts:
    """NEWS2 gives a point from 22 breaths on instead of 21."""
    known = parts.scores["news2"]

    def compute(**values: Any) -> Result:
        return known.compute(**{**values, "rr": values["rr"] - (values["rr"] == 21)})

    return parts._replace(scores={**parts.scores, "news2": msgspec.structs.replace(known, compute=compute)})


def generous(parts: Parts) -> Parts:
    """A level that is off by one is counted as exact."""

    def grade(*arguments: Any) -> Grade:
        found: Grade = parts.triage_grade(*arguments)
        return msgspec.structs.replace(found, figures={**found.figures, "exact": found.figures["within_one"]})

    return parts._replace(triage_grade=grade)


class _Endless(BioAgentEnv):
    """As in the source, an answer does not terminate the episode."""

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """See BioAgentEnv."""
        text, reward, terminated, truncated, info = super().step(action)
        return text, reward, False, truncated or terminated, info


def endless(parts: Parts) -> Parts:
    """See `_Endless`."""

    def gym(**arguments: Any) -> gymnasium.Env[Any, Any]:
        return _Endless(**arguments)

    return parts._replace(gym=gym)


class _Lenient(Clinic):
    """Takes a call whose arguments its schema refuses, without those that it does not name."""

    def read(self, action: str, kit: str = "") -> Call | Fault:
        """See ToolGame."""
        tools = self.offered(kit)
        found = parse(action, tools, self.settings.call_syntax)
        if isinstance(found, Call):
            return found
        try:
            read = read_python(action, frozenset(tool.name for tool in tools))
        except Refused:
            return found
        known = next(tool for tool in tools if tool.name == read.name).parameters["properties"]
        return Call(name=read.name, arguments={name: value for name, value in read.arguments.items() if name in known})


def lenient(parts: Parts) -> Parts:
    """See `_Lenient`."""
    return parts._replace(game=_Lenient)


def ignores_weights(parts: Parts) -> Parts:
    """As in the source, the weights of the spec are not used."""

    def rewarded(weights: Weights, *arguments: Any) -> Reward:
        return reward_of(Weights(accuracy=0.2, format=0.2, process=0.2, safety=0.2, coherence=0.2), *arguments)

    return parts._replace(reward_of=rewarded)


def uncapped(parts: Parts) -> Parts:
    """A violation costs nothing but its part."""

    def rewarded(weights: Weights, gate: float, grade: Grade, *arguments: Any) -> Reward:
        return parts.reward_of(weights, gate, msgspec.structs.replace(grade, violations=()), *arguments)

    return parts._replace(reward_of=rewarded)


class _Wordy(Clinic):
    """As in the source, safety is read from words: a drug that is named counts as given."""

    def graded(self, episode: Episode, label: Label) -> tuple[Grade, World]:
        """See Clinic."""
        grade, world = super().graded(episode, label)
        calls = [call for call in self.calls(episode) if isinstance(call, Call)]
        named = any("amoxicillin" in call.text_before for call in calls)
        more = (Violation(rule="allergy", severity=5),) if named else ()
        return msgspec.structs.replace(grade, violations=(*grade.violations, *more)), world


def wordy(parts: Parts) -> Parts:
    """See `_Wordy`."""
    return parts._replace(game=_Wordy)


def reads_notes(parts: Parts) -> Parts:
    """As in the source, what is written counts as done."""

    def compliance(applying: Sequence[Recommendation], world: World) -> Compliance | None:
        noted = [one for one in world.done(NOTE) if "aspirin" in one.payload["text"].lower()]
        for _ in noted:
            world = world.noting(GIVE, actor=AGENT, drug="aspirin")
        return parts.compliance(applying, world)

    return parts._replace(compliance=compliance)


class _Leaky(Clinic):
    """Trains on whatever the generator draws, release tasks and held-out ones too."""

    def plan(self, index: int) -> Slot:
        """See Clinic."""
        slot = super().plan(index)
        domain, tier = split_kit(slot.kind)
        rng = random.Random(f"leaky:{index // 2}")
        seed = tasks.seed_in(rng.choice((tasks.TRAIN, tasks.PUBLIC)), domain, tier, rng)
        return msgspec.structs.replace(slot, seed=seed, kind=kit_name(domain.name, tier))


def leaky(parts: Parts) -> Parts:
    """See `_Leaky`."""
    return parts._replace(game=_Leaky)
