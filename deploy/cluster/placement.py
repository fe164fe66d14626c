"""Where actors run: with `placement_groups.py`, the only place that knows Ray's options.

    actor                        where
    learner ranks, preparation   one group for the whole run, on the driver's machine if it has room (gpu_layout.py)
    an engine                    a separate group, on the machine with most GPUs free: made and removed with it
    buffer, routers, roles       the driver's machine: the journal is there, and a lost machine takes none of them

A bundle requests the GPUs that the backend needs. None requests cores: on a CPU engine and learner share all of them
(docs/design.md, section 7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.doctor import Doctor
from actors.engine import Engine
from actors.engine_arguments import environment as engine_environment
from actors.engine_pool import EnginePool
from actors.handles import BufferHandle, EngineHandle, PoolHandle, RoleHandle
from actors.replay_buffer import ReplayBuffer
from actors.scribe import Scribe
from common import logs
from common.buffer_records import Reference
from common.config import PoolSpec, RunSpec
from common.records import Group
from deploy.cluster.gpu_layout import engine_group, gpu_share, learner_group, stays_here
from deploy.cluster.placement_groups import Groups, PlacementRequest, free_address
from envs.contract.env import Environment
from learner import preparation
from learner import rank_actor as learner_actor
from learner.handles import PreparationHandle, RankHandle

MANY_CALLS = 10_000  # concurrent calls of an async actor, which wait and do not compute


class Placement:
    """Starts the actors of one run. `model_folder` must be set before ranks are asked for and engines load, `journal`
    before a buffer is asked for, `logs` before anyone is. `notify` hears what waits for room."""

    def __init__(self, spec: RunSpec, env: Environment, notify: Callable[[str], None]) -> None:
        self._spec, self._env = spec, env
        self._groups = Groups(stays_here(spec), notify)
        self._engines: dict[Any, PlacementRequest] = {}
        self._early: dict[str, EngineHandle] = {}  # started engines that were not requested yet, by engine id
        self.model_folder = self.verifier_folder = Path()
        self.journal = self.logs = Path()
        self.buffer: BufferHandle | None = None  # until one is requested
        self.pools: dict[str, PoolHandle] = {}
        self.verifier: PoolHandle | None = None  # the frozen pool, once it has passed its exam

    def preparation(self) -> PreparationHandle:
        """The actor that resolves and warms up the model, in the first rank's bundle."""
        variables = _variables(preparation.environment(self._spec))
        options = {"max_concurrency": 2, **self._learner.bundle(0), **variables}
        handle: PreparationHandle = self._start(preparation.Preparation, "preparation", options, self._spec, self._env)
        return handle

    def replay_buffer(self, trained_steps: int | None) -> BufferHandle:
        """The run's one buffer, new (None) or at the step to which its journal is replayed."""
        spec, where = self._spec, (self.journal, trained_steps)
        sizes = spec.buffer, spec.learner.batch_groups, spec.filters
        buffer: BufferHandle = self._start(ReplayBuffer, "buffer", self._here, *sizes, *where, store=ray.put)
        self.buffer = buffer
        return buffer

    def fetched(self, references: Sequence[Reference]) -> list[Group]:
        """The groups of a batch. Blocks. Raises ObjectLostError when the buffer, which owns them, has died."""
        groups: list[Group] = ray.get(list(references))
        return groups

    def engine_pools(self) -> dict[str, PoolHandle]:
        """One router actor per pool, by name."""
        self.verifier = None  # whoever passed the exam belonged to earlier pools
        self.pools = {
            pool.name: self._start(EnginePool, f"pool-{pool.name}", self._here, pool.name) for pool in self._spec.pools
        }
        return self.pools

    @property
    def synced_pools(self) -> list[PoolHandle]:
        """The routers of the pools whose engines follow the Doctor's policy."""
        return [self.pools[p.name] for p in self._spec.pools if not p.frozen and not self._has_own_policy(p)]

    @property
    def scribe_pools(self) -> list[PoolHandle]:
        """The router of the pool whose engines follow a trained Scribe; none where it is not trained."""
        return [self.pools[pool.name] for pool in self._spec.pools if self._has_own_policy(pool)]

    def _has_own_policy(self, pool: PoolSpec) -> bool:
        return self._spec.scribe.train and "scribe" in pool.serves

    @property
    def frozen_pools(self) -> list[PoolHandle]:
        """The routers of the pools whose engines keep the weights of the run's start."""
        return [self.pools[pool.name] for pool in self._spec.pools if pool.frozen]

    def learner_ranks(self) -> list[RankHandle]:
        """The data-parallel learner. Its ranks meet where rank 0 is, wherever Ray puts it."""
        spec, world = self._spec, self._spec.learner.ranks
        self._groups.watch(self._learner)
        meeting = ray.remote(free_address).options(**{**self._learner.bundle(0), "num_gpus": 0}).remote()
        variables = _variables(learner_actor.environment(spec))

        def start(rank: int) -> Any:
            options = {**self._learner.bundle(rank), **variables}
            arguments = spec, self.model_folder, rank, world, meeting
            return self._start(learner_actor.LearnerActor, f"rank-{rank}", options, *arguments)

        return [start(rank) for rank in range(world)]

    def early_engines(self) -> None:
        """Start the first engines' processes, which import vLLM while the model is prepared."""
        for pool in self._spec.pools:
            for engine_id in (f"{pool.name}-{number}" for number in range(pool.engines)):
                self._early[engine_id] = self.engine(pool, engine_id)

    def engine(self, pool: PoolSpec, engine_id: str) -> EngineHandle:
        """A new engine, not yet loaded. It waits for room where there is none."""
        if (early := self._early.pop(engine_id, None)) is not None:
            return early
        asked = self._groups.ask(engine_group(self._spec, pool, engine_id, self._share))
        variables = _variables(engine_environment(self._spec, pool))
        options = {"max_concurrency": MANY_CALLS, **asked.bundle(0), **variables}
        handle: EngineHandle = self._start(Engine, engine_id, options, self._spec, pool, engine_id)
        self._engines[handle] = asked
        return handle

    def folder(self, pool: PoolSpec) -> Path:
        """The model folder that the engines of a pool load."""
        return self.verifier_folder if pool.frozen else self.model_folder

    def machine(self, engine: EngineHandle) -> str:
        """Id of the machine on which an engine that was started has found its room."""
        return self._engines[engine].machine

    def role(self, kind: str, name: str) -> RoleHandle:
        """A new Scribe or Doctor over the pool that serves its persona."""
        spec, pools = self._spec, self._spec.by_role(self.pools)
        assert self.buffer is not None, "role actors begin after the buffer"
        shared, concurrency = (name, self._env, self.buffer, pools[kind]), spec.rollout.concurrency
        handle: RoleHandle
        if kind == "scribe":
            handle = self._start(Scribe, name, self._here, *shared, concurrency, self.verifier, spec.scribe.train)
        else:
            handle = self._start(Doctor, name, self._here, *shared, spec.sampling, concurrency, pools)
        return handle

    def _start(self, actor: type[Any], name: str, options: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        """A remote actor of that class, whose log is called `name`. The caller knows the type of its handle."""
        origin = logs.Origin(run=self._spec.name, actor=name, folder=self.logs)
        return ray.remote(logged(actor, origin)).options(**options).remote(*arguments, **named)

    def kill(self, handle: Any) -> None:
        """End an actor at once; an engine's placement group is removed."""
        with suppress(RayActorError):
            ray.kill(handle)
        if (asked := self._engines.pop(handle, None)) is not None:
            self._groups.remove(asked)

    @cached_property
    def _learner(self) -> PlacementRequest:
        """One group for the whole run: the ranks of a later attempt find the room of those before."""
        return self._groups.ask(learner_group(self._spec, self._share))

    @cached_property
    def _share(self) -> float:
        """Of a GPU, for one that wants a whole one: below 1 when engines and learner must share the only card. As it
        was when the run began: when a machine is lost, or an engine more is wanted than there is room for, it waits."""
        return gpu_share(self._spec, sum(node.gpus for node in self._groups.nodes()))

    @property
    def _here(self) -> dict[str, Any]:
        """The options of an actor without a model: on the driver's machine."""
        strategy = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        return {"num_cpus": 0, "max_concurrency": MANY_CALLS, "scheduling_strategy": strategy}


def logged(actor: type[Any], origin: logs.Origin) -> type[Any]:
    """`actor`, which begins the log of its process before anything else. Its name stays: Ray and `ps` show it."""

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        logs.begin(origin)
        actor.__init__(self, *arguments, **named)

    return type(actor.__name__, (actor,), {"__init__": __init__, "__module__": actor.__module__})


def _variables(env_vars: dict[str, str]) -> dict[str, Any]:
    return {"runtime_env": {"env_vars": env_vars}}
