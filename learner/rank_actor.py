"""LearnerActor: a rank of the learner, as deploy places it in a Ray actor. No torch here: the driver imports it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.backends import BACKENDS
from common.config import RunSpec
from common.records import Group, Record, Sampled

if TYPE_CHECKING:
    from learner.handles import Engines
    from learner.step_report import StepReport

LOG = logging.getLogger(__name__)


class Sent(Record):
    """The result of rank 0's send: the checksum, and the error line of each engine that failed."""

    checksum: str
    failures: dict[str, str]


def environment(spec: RunSpec) -> dict[str, str]:
    """Environment variables that the actor's process needs before deepspeed is imported."""
    backend, alone = BACKENDS[spec.backend], spec.buffer.max_lag == 0
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**backend.learner_env, **backend.threads(alone), **offline}


def spare_threads(spec: RunSpec, world: int) -> int:
    """Threads that one of `world` ranks may take besides its own, while no engine computes."""
    backend, alone = BACKENDS[spec.backend], spec.buffer.max_lag == 0
    every, own = (int(env.get("OMP_NUM_THREADS", 0)) for env in (backend.alone_env, backend.threads(alone)))
    return max(0, every // world - own)


class LearnerActor:
    """A `DoctorRank` as a Ray actor."""

    def __init__(self, spec: RunSpec, model_folder: Path, rank: int, world: int, rendezvous: str) -> None:
        from learner.rank_publishing import DoctorRank

        self._rank = DoctorRank(spec, model_folder, rank, world, rendezvous, spare_threads(spec, world))

    def accumulate(self, *groups: Group) -> None:
        """Add up the gradient of this rank's groups; the weights do not change. Collective."""
        LOG.debug("trains on %s", ", ".join(group.task_id for group in groups))
        self._rank.accumulate(groups)

    def apply(self) -> StepReport:
        """One optimiser step along the accumulated gradient; the report covers all ranks. Collective."""
        report = self._rank.apply()
        LOG.info("step %d in %.1f s, loss %.4f", report.step, report.seconds.get("step", 0.0), report.loss)
        return report

    def canary(self, ids: Sequence[int]) -> tuple[float, ...]:
        """Log-probs of `ids[1:]` at temperature 1, nats. Collective under ZeRO-3."""
        return self._rank.canary(ids)

    def logp_difference(self, samples: Sequence[Sampled]) -> float:
        """Mean |learner - engine| per token of completions that this very version sampled, nats. Collective."""
        return self._rank.logp_difference(samples)

    def stage(self, version: int) -> None:
        """Prepare the current weights for sending as `version`, while the engines still sample. Collective."""
        self._rank.stage(version)

    def send(self, version: int, engines: Engines) -> Sent:
        """Bring `engines` to the current weights as `version`; the answer names those that fail. Collective."""
        sent = self._rank.send(version, engines)
        LOG.info("sent policy_version %d to %s; failed: %s", version, ", ".join(engines), sent.failures or "none")
        return sent

    def save(self, folder: Path) -> None:
        """Write this rank's part of a checkpoint. Collective. Raises OSError when one of the ranks cannot write."""
        self._rank.save(folder)
        LOG.info("saved %s", folder)

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint. Collective. Raises ValueError when it was made by another number of ranks."""
        self._rank.load(folder)
        LOG.info("loaded %s", folder)

    def save_model(self, folder: Path) -> None:
        """Write the merged policy to `folder` in Hugging Face form. Collective."""
        self._rank.save_model(folder)

    def scribe(self, method: str, *arguments: Any) -> Any:
        """Call `method` of the Scribe's rank in this process. Collective."""
        return self._rank.scribe(method, *arguments)

    def scribe_step(self, *groups: Group) -> StepReport:
        """One optimiser step of the Scribe's rank. Collective."""
        report: StepReport = self._rank.scribe("step", groups)
        return report

    def close(self) -> None:
        """Remove the shared-memory files and leave the process group; no call may follow."""
        self._rank.close()
