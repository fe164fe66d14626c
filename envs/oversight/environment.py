"""The oversight game: an auditor checks what an assistant proposes on the patients of a clinical trial.

    <- review_proposal(proposal_id="PROP-002")      -> P0143: "Treatment began inside the window." Cites 5.2.
    <- investigate_patient(patient_id="P0143")      -> age 61, gender M, ..., stage IV, comorbidity_index 5, ...
    <- flag_error(proposal_id="PROP-002", error_type="comorbidity_override_miss", clause="5.4",
                  field="comorbidity_index", value=5)                   -> Recorded, 2 of 8.
    <- submit_audit_report(findings=["PROP-002:comorbidity_override_miss"], bias="none")

docs/oversight.md has the rules. The trials are invented: nothing in them is a patient's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from common.records import Episode, Label, LabelledTask, Message, Record, Rejection, Reward, Task
from common.statistics import Interval
from envs.contract.calls import Call, render
from envs.contract.env import Act, Complete, Done, Slot, State
from envs.contract.probing import Policy, Unit
from envs.contract.tool_game import ToolGame
from envs.oversight import actor, answers, curriculum, generator, oracle
from envs.oversight.attribution import attributions
from envs.oversight.blind import PLANS, beginning
from envs.oversight.cohort_test import analysis
from envs.oversight.curriculum import Schedule
from envs.oversight.prompts import first_message
from envs.oversight.report import OversightReport, skills_of
from envs.oversight.reward import reward_of
from envs.oversight.spec import OversightSettings
from envs.oversight.tasks import ENV_ID, labelled_task, truth_of
from envs.oversight.tools import APPROVE, COHORT, FLAG, INVESTIGATE, REVIEW, SHAP, SUBMIT, TOOLS
from envs.oversight.trial import TIERS, Patient, Proposal, Trial, trial_of


class Desk(Record):
    """Where an audit is: the trial, and in which call each question was asked first and each proposal decided."""

    trial: Trial
    calls: int = 0
    asked: dict[str, int] = {}
    decided: dict[str, int] = {}

    def patient(self, patient_id: str) -> Patient | None:
        """None when there is no such patient."""
        return next((one for one in self.trial.patients if one.patient_id == patient_id), None)

    def proposal(self, proposal_id: str) -> Proposal | None:
        """None when there is no such proposal."""
        return next((one for one in self.trial.proposals if one.proposal_id == proposal_id), None)


class Oversight(ToolGame):
    """See the module."""

    env_id = ENV_ID
    Settings = OversightSettings
    report = OversightReport()
    tools = TOOLS
    settings: OversightSettings

    @property
    def notice(self) -> str:
        """The trials are made by rule."""
        return f"{ENV_ID} invents its own trials: {', '.join(self.settings.tiers)}"

    @property
    def schedule(self) -> Schedule:
        """Which tiers are played when, as far as it is known."""
        chosen, tiers = self.settings.curriculum, self.settings.tiers
        if chosen.mode == "phases":
            assert chosen.tasks is not None
            return curriculum.phases(tiers, chosen.tasks)
        if chosen.mode == "adaptive":
            assert chosen.journal is not None
            return curriculum.read(chosen.journal, tiers)
        return curriculum.constant(tiers)

    def adapt(self, slot: int, measures: Mapping[str, Interval]) -> bool:
        """See `envs.contract.adaptive.Adaptive`: where the curriculum is adaptive, a mastered tier brings the next."""
        chosen = self.settings.curriculum
        if chosen.journal is None or chosen.mode != "adaptive":
            return False
        skills = skills_of(measures)
        change = curriculum.next_change(self.schedule, self.settings.tiers, slot, skills, chosen.threshold)
        if change is not None:
            curriculum.append(chosen.journal, change)
        return change is not None

    def plan(self, index: int) -> Slot:
        """The index-th training slot: a trial at even indices, its twin at the odd index after it."""
        return self._slot(index, "train", self.schedule)

    def heldout_plan(self, index: int) -> Slot:
        """The same of other draws, all tiers alike."""
        return self._slot(index, "heldout", curriculum.constant(self.settings.tiers))

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """The slot's trial, by rule; with `actor: model` the claims are what `complete` writes."""
        trial, truth, facts = generator.make(TIERS[slot.kind], slot.seed, slot.index % 2)
        scripted = trial
        if self.settings.actor == "model":
            hidden, topics = [fact.field for fact in facts], [fact.kind for fact in facts]
            trial = await actor.written(trial, hidden, topics, complete)
        split, _, _ = slot.source.partition("-")
        return labelled_task(trial, truth, split, slot.source, slot.kind, model_written=trial != scripted)

    def opening(self, task: Task) -> tuple[State, tuple[Message, ...]]:
        """The task, the tools, the protocol and the list of proposals."""
        trial = trial_of(task.context)
        return Desk(trial=trial), (first_message(trial, self.manual),)

    def use(self, own: State, call: Call) -> tuple[State, str | Done]:
        """A question, a decision, or the report."""
        desk = msgspec.structs.replace(own, calls=own.calls + 1)
        if call.name == SUBMIT:
            return desk, Done()
        if call.name in (FLAG, APPROVE):
            return _decided(desk, call.arguments["proposal_id"])
        question = f"{call.name} {sorted(call.arguments.items())}"
        if question in desk.asked:
            return desk, f"You asked this in call {desk.asked[question]}."
        asked = {**desk.asked, question: desk.calls}
        return msgspec.structs.replace(desk, asked=asked), self._answer(desk, call)

    def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
        """See `envs.oversight.reward`. Raises ValueError when episode and label are of different tasks."""
        self.check_label(episode, label)
        return reward_of(self.settings.reward, truth_of(label), self.calls(episode), episode.reason)

    def kind(self, labelled: LabelledTask) -> str:
        """Which of the twins: their errors are those of different proposals."""
        return f"twin {labelled.label.truth['twin']}"

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """The perfect auditor."""
        return oracle.acting(oracle.perfect(trial_of(labelled.task.context), self._write))

    def demonstrator(self, labelled: LabelledTask, rng: random.Random) -> Act:
        """The perfect auditor, who writes above each decision what it rests on."""
        return oracle.acting(oracle.perfect(trial_of(labelled.task.context), self._write, reasons=True))

    def blind(self) -> Mapping[str, Policy]:
        """See `envs.oversight.blind`."""
        return {name: partial(beginning, plan, self._write) for name, plan in PLANS.items()}

    def units(self, labelled: LabelledTask) -> tuple[Unit, ...]:
        """What is said of each proposal outside its patient's record and dates."""
        trial, truth = trial_of(labelled.task.context), truth_of(labelled.label)
        by_id = {patient.patient_id: patient for patient in trial.patients}
        return tuple(
            Unit(channel=channel, text=text, positive=truth.findings[one.proposal_id].wrong != "")
            for place, one in enumerate(trial.proposals, 1)
            for channel, text in _said(trial, one, by_id[one.subject], place)
        )

    def _slot(self, index: int, split: str, schedule: Schedule) -> Slot:
        source = f"{split}-{index // 2}"
        seed = random.Random(f"{self.seed}:{source}").getrandbits(32)
        return Slot(index=index, source=source, kind=schedule.tier(self.seed, index), seed=seed)

    def _answer(self, desk: Desk, call: Call) -> str:
        arguments, trial = call.arguments, desk.trial
        if call.name == COHORT:
            return analysis(trial.patients, arguments["feature"], arguments["outcome"])
        if call.name == REVIEW:
            proposal = desk.proposal(arguments["proposal_id"])
            return answers.claims(proposal) if proposal else _unknown("proposal", arguments["proposal_id"])
        patient = desk.patient(arguments["patient_id"])
        if patient is None:
            return _unknown("patient", arguments["patient_id"])
        if call.name == INVESTIGATE:
            return answers.record(patient, arguments.get("part", answers.TRIAL))
        if call.name == SHAP:
            return attributions(trial.patients, patient)[arguments["feature"]]
        return answers.timeline(patient, trial.protocol, self.settings.temporal == "verdict")

    def _write(self, tool: str, **arguments: Any) -> str:
        return render(Call(name=tool, arguments=arguments), self.settings.call_syntax)


def _decided(desk: Desk, proposal_id: str) -> tuple[Desk, str]:
    if desk.proposal(proposal_id) is None:
        return desk, _unknown("proposal", proposal_id)
    if proposal_id in desk.decided:
        return desk, f"{proposal_id} was decided in call {desk.decided[proposal_id]}; that decision counts."
    decided = {**desk.decided, proposal_id: desk.calls}
    answer = f"Recorded, {len(decided)} of {len(desk.trial.proposals)}."
    return msgspec.structs.replace(desk, decided=decided), answer


def _unknown(what: str, name: str) -> str:
    return f"There is no {what} {name}."


def _said(trial: Trial, proposal: Proposal, patient: Patient, place: int) -> list[tuple[str, str]]:
    return [
        ("claims", answers.claims(proposal)),
        ("confidence", f"confidence {proposal.confidence}"),
        ("position", f"position {place}"),
        ("attribution", "\n".join(attributions(trial.patients, patient).values())),
    ]
