"""Groups of rollouts for the tests of what a run leaves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from common.records import Completion, Group, Label, LabelledTask, Limits, Provenance, Rollout, Task
from deploy.report import rollout_log
from simulator.rollouts import one_turn, rewarded

SENTENCES = ("The patient is a 50-year-old man.", "He is given <b>amoxicillin</b> for gout.", "He goes home.")
REPLY = "<thinking>the drug does not fit the finding</thinking>\n<verdict>No Clinical Error</verdict>"


def labelled(number: int = 0, kind: str = "synthetic_injection") -> LabelledTask:
    truth = {
        "sentence_count": 3,
        "error_type": "pharmacotherapy",
        "sentence": 1,
        "error_text": SENTENCES[1],
        "corrected_text": "He is given colchicine for gout.",
    }
    if kind in ("augmented_safe", "synthetic_decoy"):
        truth = {"sentence_count": 3, "error_type": None, "sentence": None, "error_text": None, "corrected_text": None}
    task = Task(
        env="verdict",
        task_id=f"task-{number}",
        split="train",
        context={"sentences": list(SENTENCES)},
        limits=Limits(),
        provenance=Provenance(source="bundled", vignette=f"v{number}", kind=kind, operators=("brand_generic",)),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth=truth))


def rollout(
    text: str = REPLY, reason: str = "missed", versions: tuple[int, ...] = (3, 3, 4), **extra: float
) -> Rollout:
    completion = Completion(
        text=text,
        token_ids=tuple(range(len(versions))),
        logps=(-0.5,) * len(versions),
        versions=versions,
        finish_reason="stop",
        engine="engines-0",
    )
    components = {"outcome": -1.0, "structure": 0.1, **extra}
    return one_turn(completion, rewarded(sum(components.values()), reason, **components))


def group(of: LabelledTask, *rollouts: Rollout) -> Group:
    return Group(labelled=of, prompt_ids=(7, 8, 9), rollouts=rollouts or (rollout(),), doctor="doctor-0")


def write_step(folder: Path, step: int, version: int, groups: Iterable[Group]) -> Path:
    """As a run does around a step."""
    rollout_log.write_step(folder, step, version, groups)
    return rollout_log.publish_step(folder, step)
