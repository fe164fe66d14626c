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


class Salted(Oversight):
    """Seeds trials with Python's hash of a text, which is another one in every process."""

    def plan(self, index: int) -> Slot:
        """See Oversight."""
        slot = super().plan(index)
        return msgspec.structs.replace(slot, seed=hash(slot.source) % 2**32)


class Deaf(Oversight):
    """Lets the rules write the claims even where a model was asked for."""

    async def propose(
        self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
    ) -> LabelledTask | Rejection:
        """See Oversight."""
        scripted = OversightSettings.model_validate({**self.settings.model_dump(), "actor": "scripted"})
        return await Oversight(scripted, self.seed).propose(slot, rng, complete, verify)


class _Relabelling(Oversight):
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


class Telling(_Relabelling):
    """The claims about wrong patients begin in lower case."""

    def changed(self, labelled: LabelledTask) -> LabelledTask:
        """See above."""
        findings = labelled.label.truth["findings"]
        told = [
            {**one, "claims": one["claims"][0].lower() + one["claims"][1:]}
            if findings[one["proposal_id"]]["wrong"]
            else one
            for one in labelled.task.context["proposals"]
        ]
        context: dict[str, Any] = {**labelled.task.context, "proposals": told}
        return msgspec.structs.replace(labelled, task=msgspec.structs.replace(labelled.task, context=context))


class Hidden(_Relabelling):
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
