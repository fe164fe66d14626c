"""Where actors run: the only place that knows Ray's options. GPUs are asked for by the backend; CPU actors ask for no
cores, because engine and learner share all of them (docs/design.md, section 7)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError

from actors import engine as engine_module
from actors.doctor import Doctor
from actors.engine import Engine
from actors.engine_pool import EnginePool
from actors.replay_buffer import ReplayBuffer
from actors.scribe import Scribe
from common.backends import BACKENDS
from common.config import PoolSpec, RunSpec
from deploy import prepare
from deploy.cards import gpu_share
from envs.env import Environment

MANY_CALLS = 10_000  # an async actor's calls in flight: they wait, they do not compute


class Placement:
    """Starts the actors of one run. `model_folder` must be set before engines and ranks are asked for, `journal`
    before a buffer is."""

    def __init__(self, spec: RunSpec, env: Environment) -> None:
        self._spec, self._env = spec, env
        self._backend = BACKENDS[spec.backend]
        self.model_folder = Path()
        self.journal = Path()
        self.buffer: Any = None
        self.pools: dict[str, Any] = {}
        self.verifier: Any = None  # the frozen pool, once it has passed its exam

    def preparation(self) -> Any:
        """The actor that resolves and warms up the model."""
        options = self._options(prepare.environment(self._spec), self._backend.gpus_per_learner_rank)
        return ray.remote(prepare.Preparation).options(max_concurrency=2, **options).remote(self._spec, self._env)

    def replay_buffer(self, trained_steps: int | None) -> Any:
        """The run's one buffer, new (None) or at the step to which its journal is replayed."""
        spec = self._spec
        options = {"num_cpus": 0, "max_concurrency": MANY_CALLS}
        self.buffer = (
            ray.remote(ReplayBuffer)
            .options(**options)
            .remote(spec.buffer, spec.learner.batch_groups, spec.filters, self.journal, trained_steps)
        )
        return self.buffer

    def engine_pools(self) -> dict[str, Any]:
        """One router actor a pool, by name."""
        options = {"num_cpus": 0, "max_concurrency": MANY_CALLS}
        self.verifier = None  # whoever passed the exam belonged to earlier pools
        self.pools = {
            pool.name: ray.remote(EnginePool).options(**options).remote(pool.name) for pool in self._spec.pools
        }
        return self.pools

    @property
    def synced_pools(self) -> list[Any]:
        """The routers of the pools whose engines follow the Doctor's policy."""
        return [self.pools[p.name] for p in self._spec.pools if not p.frozen and not self._has_own_policy(p)]

    @property
    def scribe_pools(self) -> list[Any]:
        """Of the one whose engines follow a trained Scribe; none where it is not trained."""
        return [self.pools[pool.name] for pool in self._spec.pools if self._has_own_policy(pool)]

    def _has_own_policy(self, pool: PoolSpec) -> bool:
        return self._spec.scribe.train and "scribe" in pool.serves

    @property
    def frozen_pools(self) -> list[Any]:
        """Those of the pools whose engines keep the weights of the run's start."""
        return [self.pools[pool.name] for pool in self._spec.pools if pool.frozen]

    def learner_ranks(self) -> list[Any]:
        """The data-parallel learner; rank 0 serves the rendezvous."""
        from learner import actor

        spec, world = self._spec, self._spec.learner.ranks
        options = self._options(actor.environment(spec), self._backend.gpus_per_learner_rank)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            rendezvous = f"{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"
        kind = ray.remote(actor.LearnerActor).options(**options)
        return [kind.remote(spec, self.model_folder, rank, world, rendezvous) for rank in range(world)]

    def engine(self, pool: PoolSpec, engine_id: str) -> Any:
        """A new engine, not yet loaded."""
        gpus = self._backend.gpus_per_engine * pool.tensor_parallel
        options = self._options(engine_module.environment(self._spec, pool), gpus)
        return (
            ray.remote(Engine)
            .options(max_concurrency=MANY_CALLS, **options)
            .remote(self._spec, pool, engine_id, self.model_folder)
        )

    def role(self, kind: str, name: str) -> Any:
        """A new Scribe or Doctor over the pool that serves its persona."""
        spec = self._spec
        pool = next(self.pools[pool.name] for pool in spec.pools if kind in pool.serves)
        options = {"num_cpus": 0, "max_concurrency": MANY_CALLS}
        if kind == "scribe":
            return (
                ray.remote(Scribe)
                .options(**options)
                .remote(name, self._env, self.buffer, pool, spec.rollout.concurrency, self.verifier, spec.scribe.train)
            )
        return (
            ray.remote(Doctor)
            .options(**options)
            .remote(name, self._env, self.buffer, pool, spec.sampling, spec.rollout.concurrency)
        )

    def kill(self, handle: Any) -> None:
        """End an actor at once."""
        try:
            ray.kill(handle)
        except RayActorError:
            return

    def _options(self, env_vars: dict[str, str], gpus: float) -> dict[str, Any]:
        return {"num_cpus": 0, "num_gpus": gpus * self._share(), "runtime_env": {"env_vars": env_vars}}

    def _share(self) -> float:
        """Of a GPU, for one that wants a whole one: below 1 when engines and learner must share the only card."""
        return gpu_share(self._spec, ray.cluster_resources().get("GPU", 0))
