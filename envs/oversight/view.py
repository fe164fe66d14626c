"""How the page shows a trial: the protocol, and each proposal with what it claims and what is true."""

from __future__ import annotations

import json

import msgspec
from markupsafe import Markup

from envs.contract.page_view import PageView, Shown, words
from envs.oversight.trial import Proposal, Truth, trial_of

_ROW = Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>")


class AuditView(PageView):
    """Trials of a page."""

    task_title = "Trial and label"

    def task(self, shown: Shown) -> Markup:
        """The excerpt, the proposals, and the bias where the report must name one."""
        trial = trial_of(json.loads(shown.context))
        truth = msgspec.json.decode(shown.truth, type=Truth)
        rows = Markup("").join(_row(proposal, truth) for proposal in trial.proposals)
        bias = Markup("<p>Bias of the cohort: {}</p>").format(truth.bias) if truth.graded_bias else Markup("")
        return (
            Markup("<pre>{}</pre>").format(trial.excerpt)
            + Markup("<table><tr><th>Proposal</th><th>Patient</th><th>Claims</th><th>Truth</th></tr>{}</table>").format(
                rows
            )
            + bias
        )


def _row(proposal: Proposal, truth: Truth) -> Markup:
    found = truth.findings[proposal.proposal_id]
    facts = ", ".join(f"{field} {value}" for field, value in found.evidence.items())
    said = f"{words(found.wrong)} ({', '.join(found.clauses)}): {facts}" if found.wrong else "right"
    return _ROW.format(proposal.proposal_id, proposal.subject, proposal.claims, said)
