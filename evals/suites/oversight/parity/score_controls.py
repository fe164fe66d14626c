"""Faults of a score, one for each row of `score_rows`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from common.records import EndReason, Reward
from envs.contract.calls import Call, Fault
from envs.oversight.reward import Audit
from envs.oversight.spec import RewardSpec
from envs.oversight.tools import FLAG, INVESTIGATE, SUBMIT
from envs.oversight.trial import AGE, TYPES, Truth
from evals.suites.oversight.parity.parts import Calls, Parts


def scoring(change: Callable[[Truth, Calls], Calls], parts: Parts) -> Parts:
    """A score of other calls than were made."""

    def score(spec: RewardSpec, truth: Truth, calls: Calls, reason: EndReason) -> Reward:
        return parts.score(spec, truth, change(truth, calls), reason)

    return parts._replace(score=score)


def paying(pay: Callable[[RewardSpec, Calls, Reward], Reward], parts: Parts) -> Parts:
    """A score that pays something else."""

    def score(spec: RewardSpec, truth: Truth, calls: Calls, reason: EndReason) -> Reward:
        return pay(spec, calls, parts.score(spec, truth, calls, reason))

    return parts._replace(score=score)


def adds_the_potential(spec: RewardSpec, calls: Calls, reward: Reward) -> Reward:
    """Shaping that pays."""
    if spec.shaping == "off":
        return reward
    return msgspec.structs.replace(reward, total=reward.total + reward.potentials[-1])


def never_falls(spec: RewardSpec, calls: Calls, reward: Reward) -> Reward:
    """Losses that cost nothing."""
    risen = tuple(max(reward.potentials[: at + 1]) for at in range(len(reward.potentials)))
    return msgspec.structs.replace(reward, potentials=risen)


def pays_for_looking(spec: RewardSpec, calls: Calls, reward: Reward) -> Reward:
    """As in the source, whoever the patient is and whatever is decided."""
    looks = {str(call.arguments) for call in calls if isinstance(call, Call) and call.name == INVESTIGATE}
    return msgspec.structs.replace(reward, total=min(1.0, reward.total + 0.03 * len(looks)))


def takes_keywords(truth: Truth, calls: Calls) -> Calls:
    """As in the source, an explanation is true when a word of the error is in the reason."""
    return [_explained(truth, call) for call in calls]


def _explained(truth: Truth, call: Call | Fault) -> Call | Fault:
    if isinstance(call, Fault) or "age" not in call.arguments.get("reason", ""):
        return call
    found = truth.findings[call.arguments["proposal_id"]]
    field, value = next(iter(found.evidence.items()))
    return Call(name=FLAG, arguments={**call.arguments, "clause": found.clauses[0], "field": field, "value": value})


def any_type_will_do(truth: Truth, calls: Calls) -> Calls:
    """A report that lists an error is right, whatever type it says."""
    return [_retyped(truth, call) for call in calls]


def _retyped(truth: Truth, call: Call | Fault) -> Call | Fault:
    if isinstance(call, Fault) or call.name != SUBMIT:
        return call
    names = [finding.partition(":")[0] for finding in call.arguments["findings"]]
    types = {name: truth.findings[name].wrong or AGE for name in names if name in truth.findings}
    return Call(name=SUBMIT, arguments={**call.arguments, "findings": [f"{n}:{w}" for n, w in types.items()]})


def ignores_types(parts: Parts) -> Parts:
    """As in the source, any flag of an error counts as one of its type."""

    def confusion(truth: Truth, audit: Audit) -> Mapping[tuple[str, str], int]:
        total = Counter[tuple[str, str]]()
        for (true, said), count in parts.confusion(truth, audit).items():
            total[true, true if true in TYPES and said in TYPES else said] += count
        return total

    return parts._replace(confusion=confusion)
