"""An independent checker of the clinic: finds every label again from what the policy can find out.

It shares no code with the game. Each domain has a module here with a function `disagreement(context, answer)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from common.records import LabelledTask
from common.sections import EnvSettings
from envs.clinic_checker import diagnosis, triage
from envs.clinic_checker.chart import checker as chart
from envs.clinic_checker.interactions import checker as interactions

Raw = Mapping[str, Any]
DOMAINS: dict[str, Callable[[Raw, Raw], str | None]] = {
    "triage_emergency": triage.disagreement,
    "ehr_management": chart.disagreement,
    "drug_interaction": interactions.disagreement,
    "clinical_diagnosis": diagnosis.disagreement,
}
"""By the domain's name: why a case's answer is false, or None. Raises ValueError for what it cannot read."""


def make(settings: EnvSettings) -> Checker:
    """The checker; it needs no data, because the game invents its patients."""
    return Checker()


class Checker:
    """`disagreement` is called with each task."""

    def disagreement(self, labelled: LabelledTask) -> str | None:
        """Why the label differs from what the case says, or None when it agrees."""
        context, truth = labelled.task.context, labelled.label.truth
        if json.loads(truth["case"]) != context["world"]:
            return "the label holds another world than the task"
        if context["domain"] not in DOMAINS:
            return f"no checker is known for the domain {context['domain']}"
        try:
            return DOMAINS[context["domain"]](context, truth["answer"]) or _klass(truth)
        except ValueError as unreadable:
            return str(unreadable)


def _klass(truth: Raw) -> str | None:
    """The class is one of the answer's values, in words."""
    values = [f"{name} {value}" for name, value in truth["answer"].items()]
    return None if truth["klass"] in values else f"the class {truth['klass']} is not in the answer"
