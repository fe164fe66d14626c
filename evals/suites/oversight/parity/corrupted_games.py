"""The oversight game with one fault each: what the negative controls play. Other processes find them by their names."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from common.records import Episode, Label, LabelledTask, Rejection
from envs.contract.env import Complete, Slot
from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from envs.oversight.trial import Finding, as_json


class Deaf(Oversight):
    """Lets the rules write the claims even where a model was asked for."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """See Oversight."""
        scripted = OversightSettings.model_validate({**self.settings.model_dump(), "actor": "scripted"})
        return await Oversight(scripted, self.seed).propose(slot, rng, complete, verify)


class _Changing(Oversight):
    """Changes every task before it is given out."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """See Oversight."""
        made = await super().propose(slot, rng, complete, verify)
        return self.changed(made) if isinstance(made, LabelledTask) else made

    def changed(self, labelled: LabelledTask) -> LabelledTask:
        """The task with the fault."""
        raise NotImplementedError


class Salted(_Changing):
    """Lists the patients in the order of a set, which is another one in every process."""

    def changed(self, labelled: LabelledTask) -> LabelledTask:
        """See above."""
        patients = [list(one) for one in {tuple(one) for one in labelled.task.context["patients"]}]
        return _with(labelled, patients=patients)


class Telling(_Changing):
    """The assistant is less confident of wrong proposals, as in the source on its easy tier."""

    def changed(self, labelled: LabelledTask) -> LabelledTask:
        """See above."""
        findings = labelled.label.truth["findings"]
        told = [
            {**one, "confidence": round(one["confidence"] - 0.1, 2)} if findings[one["proposal_id"]]["wrong"] else one
            for one in labelled.task.context["proposals"]
        ]
        return _with(labelled, proposals=told)


class Hidden(_Changing):
    """As in the source, an error counts that no proposal shows."""

    def changed(self, labelled: LabelledTask) -> LabelledTask:
        """See above."""
        truth = labelled.label.truth
        proposed = {one["of_patient"] for one in truth["findings"].values()}
        other = next(record[0] for record in labelled.task.context["patients"] if record[0] not in proposed)
        unseen = as_json(Finding(of_patient=other, wrong="invalid_age", clauses=("4.1",), evidence={"age": 999}))
        findings = {**truth["findings"], "PROP-099": unseen}
        label = msgspec.structs.replace(labelled.label, truth={**truth, "findings": findings})
        return msgspec.structs.replace(labelled, label=label)


class Unbound(Oversight):
    """Scores an episode with the label of any task."""

    @staticmethod
    def check_label(episode: Episode, label: Label) -> None:
        """Accepts all."""


def _with(labelled: LabelledTask, **changes: Any) -> LabelledTask:
    """The task with parts of its context replaced."""
    context = {**labelled.task.context, **changes}
    return msgspec.structs.replace(labelled, task=msgspec.structs.replace(labelled.task, context=context))
