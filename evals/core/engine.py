"""One vLLM engine in its own Ray instance, alive while it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayActorError, RayTaskError

from actors.engine import Engine, PromptTooLong
from actors.engine_arguments import environment as engine_environment
from actors.engine_pool import engine_died
from actors.episode import Model, PartnerError, said_by
from common.backends import BACKENDS
from common.config import PoolSpec, RunSpec
from common.errors import last_line
from common.models import checksum, resolve_model
from common.record import Ids
from common.records import Message, Reply, Sampled
from envs.contract.env import Ask
from envs.contract.reports import reports_of
from evals.core.client import EngineLost

if TYPE_CHECKING:
    from actors.handles import EngineHandle

ROOT = Path(__file__).parents[2]
MANY_CALLS = 10_000
SHUTDOWN_S = 30
POLICY_ROLES = ("scribe", "doctor")


class Vllm:
    """The client that `evals.run` uses: one vLLM engine."""

    def resolve(self, spec: RunSpec) -> tuple[Path, str]:
        """The model's folder and checksum, made in a process of which the memory is freed afterwards.

        Raises ValueError, one line, for a model that does not exist.
        """
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(_resolve, spec).result()

    @asynccontextmanager
    async def asking(self, spec: RunSpec, folder: Path) -> AsyncIterator[Model]:
        """Start the engine, at `spec.sampling.temperature`. Raises EngineLost when it does not start or dies."""
        with local_ray():
            handle = _actor(spec)
            try:
                await _started(handle, folder)
                yield EngineModel(handle, spec.sampling.temperature)
            finally:
                await _end(handle)


class EngineModel:
    """The one engine as `actors.episode.Model`. Its calls raise PromptTooLong, and EngineLost when it dies or fails."""

    def __init__(self, handle: EngineHandle, temperature: float) -> None:
        self._handle, self._temperature = handle, temperature

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        """See `Model`."""
        return await _answer(self._handle.generate.remote(messages, n, max_tokens, self._temperature))

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        """See `Model`."""
        return await _answer(self._handle.proceed.remote(prefix, messages, max_tokens, self._temperature))

    async def partner(self, ask: Ask) -> Reply:
        """See `Model`. The policy alone is loaded, so that it plays what it plays in a run, and no frozen model."""
        if ask.role not in POLICY_ROLES:
            raise PartnerError(f"the game asks a {ask.role}, and only the policy is loaded here")
        try:
            sampled = await _answer(self._handle.generate.remote(ask.messages, 1, ask.max_tokens, ask.temperature))
        except PromptTooLong as error:
            raise PartnerError(f"{ask.role}: {last_line(error)}") from None
        return said_by(ask, sampled)


async def _answer(call: Awaitable[Sampled]) -> Sampled:
    try:
        return await call
    except PromptTooLong:
        raise
    except (RayActorError, RayTaskError) as error:
        raise EngineLost(f"the engine {'died' if engine_died(error) else 'failed'}: {last_line(error)}") from error


def doctor_pool(spec: RunSpec) -> PoolSpec:
    """The pool whose settings the engine takes."""
    return next(pool for pool in spec.pools if "doctor" in pool.serves)


@contextmanager
def local_ray() -> Iterator[None]:
    """A new Ray instance in this process, never a running one, so that an evaluation disturbs no job."""
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
    )
    try:
        yield
    finally:
        ray.shutdown()


def _actor(spec: RunSpec) -> EngineHandle:
    pool, backend = doctor_pool(spec), BACKENDS[spec.backend]
    options = {
        "num_cpus": 0,
        "num_gpus": backend.gpus_per_engine * pool.tensor_parallel,
        "max_concurrency": MANY_CALLS,
        "runtime_env": {"env_vars": engine_environment(spec, pool, alone=True)},
    }
    wanted, there = options["num_gpus"], ray.cluster_resources().get("GPU", 0)
    if wanted > there:
        raise ValueError(f"backend {spec.backend} wants {wanted} GPUs and Ray sees {there:g}: give a --spec that fits")
    handle: EngineHandle = ray.remote(Engine).options(**options).remote(spec, pool, "eval-0")
    return handle


async def _started(handle: EngineHandle, folder: Path) -> None:
    try:
        await handle.load.remote(folder)
    except (RayActorError, RayTaskError) as error:
        raise EngineLost(f"the engine did not start: {last_line(error)}") from error


async def _end(handle: EngineHandle) -> None:
    try:
        async with asyncio.timeout(SHUTDOWN_S):
            await handle.shutdown.remote()
    except (RayActorError, RayTaskError, TimeoutError):
        pass  # it is dead already, or ray.kill ends it
    ray.kill(handle)


def _resolve(spec: RunSpec) -> tuple[Path, str]:
    folder = resolve_model(spec.model, lambda: _texts(spec))
    return folder, checksum(folder)


def _texts(spec: RunSpec) -> list[str]:
    """The corpus of the tiny model's tokenizer."""
    return [text for report in reports_of(spec).values() for text in report.texts()]
