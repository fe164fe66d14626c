"""The types of the actor handles that the learner calls (`common.remote`).

Handles of its own ranks are derived from their class. For the rollout side, which it must not import, there are
protocols of the methods that it calls: mypy checks the actors' own handles against them in `deploy` and `simulator`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from common.buffer_records import AuthorBatch, StoredGroup
from common.records import Sampled
from common.remote import Remote, remote
from common.weights import SyncReport
from learner.preparation import Preparation
from learner.rank_actor import LearnerActor, Sent


class RankHandle:
    """A remote `LearnerActor`."""

    __ray_ready__: Remote[[], bool]
    accumulate = remote(LearnerActor.accumulate)
    apply = remote(LearnerActor.apply)
    canary = remote(LearnerActor.canary)
    logp_difference = remote(LearnerActor.logp_difference)
    stage = remote(LearnerActor.stage)
    send = remote(LearnerActor.send)
    save = remote(LearnerActor.save)
    load = remote(LearnerActor.load)
    save_model = remote(LearnerActor.save_model)
    scribe = remote(LearnerActor.scribe)
    scribe_step = remote(LearnerActor.scribe_step)
    close = remote(LearnerActor.close)


class PreparationHandle:
    """A remote `Preparation`."""

    run = remote(Preparation.run)
    progress = remote(Preparation.progress)


class SenderHandle(Protocol):
    """The methods of a rank, the Doctor's or the Scribe's, that the weight channel calls."""

    @property
    def stage(self) -> Remote[[int], None]: ...
    @property
    def send(self) -> Remote[[int, Any], Sent]: ...
    @property
    def canary(self) -> Remote[[Sequence[int]], tuple[float, ...]]: ...


class EngineHandle(Protocol):
    """The methods of an engine that the learner calls."""

    @property
    def sample(self) -> Remote[[tuple[int, ...], int, int, float], Sampled]: ...
    @property
    def pause(self) -> Remote[[], None]: ...
    @property
    def resume(self) -> Remote[[int], None]: ...
    @property
    def prove(self) -> Remote[[tuple[int, ...]], SyncReport]: ...
    @property
    def start_weight_update(self) -> Remote[[], int]: ...
    @property
    def update_weights(self) -> Remote[[dict[str, Any]], None]: ...
    @property
    def finish_weight_update(self) -> Remote[[], None]: ...
    @property
    def load_adapter(self) -> Remote[[int, str], None]: ...


Engines = Mapping[str, EngineHandle]
"""By engine id."""


class PoolHandle(Protocol):
    """The methods of an engine pool that the weight channel calls."""

    @property
    def admit(self) -> Remote[[str, Any], None]: ...
    @property
    def quarantine(self) -> Remote[[str], None]: ...
    @property
    def engines(self) -> Remote[[], Engines]: ...


class BufferHandle(Protocol):
    """The methods of the replay buffer that the learner calls."""

    @property
    def take_batch(self) -> Remote[[], tuple[StoredGroup, ...]]: ...
    @property
    def release(self) -> Remote[[int], None]: ...
    @property
    def take_authored(self) -> Remote[[int], AuthorBatch]: ...
    @property
    def checkpointed(self) -> Remote[[int], None]: ...


class Saved(Protocol):
    """The methods of a rank that a checkpoint calls."""

    @property
    def save(self) -> Remote[[Path], None]: ...
