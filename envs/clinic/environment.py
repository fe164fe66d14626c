"""The clinic: cases of several domains in one kind of world, worked with tools.

    <- primary_survey(patient_id="P482")        -> Breathing is quiet. Responds to voice, confused since this morning.
    <- vitals(patient_id="P482")                -> pulse 96, resp_rate 18, ..., spo2 97
    <- submit_triage(patient_id="P482", level=2, disposition="acute_bed")

docs/clinic.md has the rules. The patients are invented. For research; not for clinical use.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from common.records import Episode, Label, LabelledTask, Message, Record, Rejection, Reward, Task, Tool
from envs.clinic import domains, release, tasks
from envs.clinic.domain import Domain, Grade, Plan, Play, Write
from envs.clinic.domains import DOMAINS, SEPARATOR, kit_name, split_kit
from envs.clinic.instruments import use
from envs.clinic.report import ClinicReport
from envs.clinic.reward import reward_of, weights_of
from envs.clinic.spec import ClinicSettings
from envs.clinic.world import REFUSED, World
from envs.contract.calls import Call, Fault, render
from envs.contract.env import Act, Complete, Done, Slot, State, Turn
from envs.contract.probing import Policy, Unit
from envs.contract.tool_game import ToolGame

ENDING = "End each reply with one call, on a line of its own. No answer says whether you are right. Tools:"


class Visit(Record):
    """Where an episode is: its world, and which tools it has."""

    world: World
    kit: str


class Clinic(ToolGame):
    """See the module."""

    env_id = tasks.ENV_ID
    Settings = ClinicSettings
    report = ClinicReport()
    settings: ClinicSettings

    @property
    def notice(self) -> str:
        """The patients are made by rule."""
        return f"{self.env_id} invents its own patients: {', '.join(self.settings.domains)}"

    def plan(self, index: int) -> Slot:
        """The index-th training slot: a case at even indices, its twin at the odd index after it."""
        return self._slot(index, tasks.TRAIN)

    def heldout_plan(self, index: int) -> Slot:
        """The same of parameters that no training case has."""
        return self._slot(index, tasks.HELDOUT)

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """The slot's case, by rule."""
        domain, tier = split_kit(slot.kind)
        case = domain.make(tier, tasks.drawn(domain, tier, slot.seed), slot.index % 2)
        split, _, _ = slot.source.partition("-")
        return tasks.labelled_task(domain, tier, case, split, slot.source)

    def release(self) -> tuple[str, ...]:
        """See `envs.contract.listing.Listing`."""
        rows = (row for domain in self.settings.domains for row in release.listed(domain))
        return tuple(row.name for row in rows if row.tier in self.settings.tiers)

    def release_task(self, name: str) -> LabelledTask:
        """See `envs.contract.listing.Listing`."""
        for domain in self.settings.domains:
            for row in release.listed(domain):
                if row.name == name:
                    return release.released(DOMAINS[domain], row)
        names = self.release()
        known = f"the first is {names[0]}, the last {names[-1]}" if names else "none is"
        raise ValueError(f"no release task is called {name!r}: {known}")

    def foreign(self, episode: Episode, label: Label) -> int:
        """See `envs.contract.listing.Listing`: the calls that were refused."""
        _, world = self.graded(episode, label)
        return sum(event.kind == REFUSED for event in world.events)

    def kit(self, task: Task) -> str:
        """See `envs.contract.tool_game.ToolGame`."""
        return kit_name(task.context["domain"], task.context["tier"])

    def kit_of(self, task_id: str) -> str:
        """See `envs.contract.tool_game.ToolGame`."""
        return task_id.rpartition(SEPARATOR)[0]

    @classmethod
    def offered(cls, kit: str) -> tuple[Tool, ...]:
        """See `envs.contract.tool_game.ToolGame`."""
        return _tools(kit)

    def opening(self, task: Task) -> tuple[State, tuple[Message, ...]]:
        """The rules of the domain, the tools, and what is asked."""
        kit = self.kit(task)
        domain, tier = split_kit(kit)
        text = f"{domain.instructions(tier)}\n{ENDING}\n{self.manual_of(kit)}\n\n{task.context['request']}"
        return Visit(world=tasks.world_at_start(task), kit=kit), (Message(role="user", content=text),)

    def use(self, own: State, call: Call) -> tuple[State, str | Done]:
        """What the tool does; one that ends the episode has no answer, unless it was refused."""
        instrument = domains.instruments(own.kit)[call.name]
        used = use(own.world, instrument, call.arguments)
        visit = Visit(world=used.world, kit=own.kit)
        return visit, Done() if instrument.ends and not used.refused else used.text

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """See `envs.clinic.reward`. Raises ValueError when episode and label are of different tasks."""
        self.check_label(episode, label)
        grade, world = self.graded(episode, label)
        chosen = self.settings.reward
        domain, _ = split_kit(self.kit_of(episode.task_id))
        weights = weights_of(domain.weights, chosen.weights.get(domain.name))  # type: ignore[call-overload]
        return reward_of(weights, chosen.gate, grade, self.calls(episode), world, episode.reason)

    def graded(self, episode: Episode, label: Label) -> tuple[Grade, World]:
        """What the domain makes of an episode, whether it was ended by an answer or not, and its last world."""
        kit = self.kit_of(episode.task_id)
        domain, _ = split_kit(kit)
        world = replayed(tasks.world_of_label(label), kit, self.calls(episode))
        return domain.grade(world, tasks.truth_of(label)), world

    def kind(self, labelled: LabelledTask) -> str:
        """The answer's class, within the domain."""
        truth = tasks.truth_of(labelled.label)
        return truth.klass if len(self.settings.domains) == 1 else f"{labelled.task.context['domain']} {truth.klass}"

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """The domain's, which sees what any policy sees."""
        return acting(self._domain(labelled).oracle, self._write)

    def demonstrator(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """The domain's demonstration in `demonstrated_skill` of the draws; else one that answers by chance."""
        domain = self._domain(labelled)
        skilled = rng.random() < self.settings.demonstrated_skill
        return acting(domain.demonstration() if skilled else domain.guesser(rng), self._write)

    def blind(self) -> Mapping[str, Policy]:
        """Those of the domains. One that is of another domain than the task says nothing."""
        found: dict[str, Policy] = {}
        for domain in self.settings.domains:
            for name, plan in DOMAINS[domain].blind().items():
                shown = name if len(self.settings.domains) == 1 else f"{domain}: {name}"
                found[shown] = partial(acting, partial(_at_home, DOMAINS[domain], plan), self._write)
        return found

    def units(self, labelled: LabelledTask) -> tuple[Unit, ...]:
        """Texts beside what decides."""
        context = labelled.task.context
        world = tasks.world_at_start(labelled.task)
        return self._domain(labelled).units(world, context["request"], tasks.truth_of(labelled.label))

    @staticmethod
    def _domain(labelled: LabelledTask) -> Domain:
        return DOMAINS[labelled.task.context["domain"]]

    def _slot(self, index: int, split: str) -> Slot:
        source = f"{split}-{index // 2}"
        rng = random.Random(f"{self.seed}:{source}")
        domain = DOMAINS[rng.choice(self.settings.domains)]
        tier = rng.choice([one for one in self.settings.tiers if one in domain.tiers])
        seed = tasks.seed_in(split, domain, tier, rng)
        return Slot(index=index, source=source, kind=kit_name(domain.name, tier), seed=seed)

    def _write(self, tool: str, **arguments: Any) -> str:
        return render(Call(name=tool, arguments=arguments), self.settings.call_syntax)


@cache
def _tools(kit: str) -> tuple[Tool, ...]:
    return domains.tools(kit)


def replayed(world: World, kit: str, calls: Sequence[Call | Fault]) -> World:
    """The world after these calls."""
    known = domains.instruments(kit)
    for call in calls:
        if isinstance(call, Call):
            world = use(world, known[call.name], call.arguments).world
    return world


def _at_home(domain: Domain, plan: Plan, opening: str, write: Write) -> Play:
    """The plan in tasks of its domain, and silence in others."""
    if any(opening.startswith(domain.instructions(tier)) for tier in domain.tiers):
        yield from plan(opening, write)
    else:
        yield ""


def acting(plan: Plan, write: Write) -> Act:
    """One episode of a plan. It repeats its last reply when it is asked for more."""
    play, said = None, ""

    def act(turn: Turn) -> str:
        nonlocal play, said
        text = turn.messages[-1].content
        try:
            if play is None:
                play = plan(text, write)
                said = next(play)
            else:
                said = play.send(text)
        except StopIteration:
            pass
        return said

    return act
