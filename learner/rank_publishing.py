"""Ranks that can publish: a learner rank with its sender, and the Scribe's rank in the same process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from common.config import RunSpec
from common.records import Group
from common.shared_memory import new_name
from learner.finite_weights import finite
from learner.policy import base_model
from learner.rank import LearnerRank
from learner.rank_actor import Sent
from learner.senders import make_sender
from learner.spare_cores import SpareCores, call_between

if TYPE_CHECKING:
    from learner.handles import Engines


class PublishingRank(LearnerRank):
    """One data-parallel rank that can publish. Every method is collective: call it on all ranks."""

    def __init__(
        self,
        spec: RunSpec,
        model_folder: Path,
        rank: int,
        world: int,
        rendezvous: str,
        beside: LearnerRank | None = None,
    ) -> None:
        super().__init__(spec, model_folder, rank, world, rendezvous, beside)
        name = new_name(spec.name) + (f"-{self._policy.adapter}" if beside else "")
        self._sender = make_sender(spec, name, rank, self._published, self._save_adapter_config)

    def stage(self, version: int) -> None:
        """Prepare the current weights for sending as `version`, while the engines still sample."""
        self._sender.stage(version)

    def send(self, version: int, engines: Engines) -> Sent:
        """Bring `engines` to the current weights as `version`."""
        failures = self._sender.send(version, engines)
        return Sent(checksum=self._sender.checksum(), failures=failures)

    def close(self) -> None:
        """Remove the shared-memory files and leave the process groups."""
        self._sender.close()
        super().close()

    def _published(self) -> Iterator[tuple[str, Tensor]]:
        """Raises ValueError at a tensor that is not finite."""
        adapter = self._spec.transport == "adapter"
        return finite(self.adapter_weights().items() if adapter else self.published_weights(), self._peers.name)

    def _save_adapter_config(self, folder: Path) -> None:
        module: Any = self._policy.module
        module.peft_config[self._policy.adapter].save_pretrained(folder)


class DoctorRank(PublishingRank):
    """The Doctor's rank. A trained Scribe's rank shares its process and model; `scribe` calls it."""

    def __init__(
        self, spec: RunSpec, model_folder: Path, rank: int, world: int, rendezvous: str, spare_threads: int = 0
    ) -> None:
        """As a `LearnerRank`; it takes up to `spare_threads` more threads while no other process needs their cores."""
        super().__init__(spec, model_folder, rank, world, rendezvous)
        self._scribe: PublishingRank | None = None
        own = torch.get_num_threads()
        self._cores = SpareCores(own, own + spare_threads)
        if spare_threads:
            call_between(base_model(self._policy.module).get_decoder().layers, self._cores)
        if spec.scribe.train:
            self._scribe = PublishingRank(spec.of_scribe, model_folder, rank, world, rendezvous, beside=self)

    def accumulate(self, groups: Sequence[Group]) -> None:
        """As a `LearnerRank`, with the cores that no engine uses."""
        self._cores.rest()
        super().accumulate(groups)
        self._cores.rest()

    def scribe(self, method: str, *arguments: Any) -> Any:
        """Call a method of the Scribe's rank. Collective."""
        assert self._scribe is not None
        return getattr(self._scribe, method)(*arguments)

    def close(self) -> None:
        """Close both."""
        if self._scribe is not None:
            self._scribe.close()
        super().close()
