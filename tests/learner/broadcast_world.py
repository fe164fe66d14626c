"""Engines whose workers are processes of `tests.learner.receiving`, behind what looks like Ray's handles."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from ray.exceptions import ActorDiedError
from torch import Tensor

from learner.broadcast import BroadcastSender, Link
from simulator.fakes import remote_error
from tests.learner.receiving import hash_of, serve

LINK = Link(backend="gloo", device="cpu", host="127.0.0.1", timeout=30, bucket_seconds=10, bucket_bytes=2**20)
HASTY = Link(backend="gloo", device="cpu", host="127.0.0.1", timeout=30, bucket_seconds=2, bucket_bytes=2**20)


class Weights:
    """Five tensors of several shapes and types in three buckets, different in every version."""

    def __init__(self) -> None:
        self.version = 0

    def __call__(self) -> Iterator[tuple[str, Tensor]]:
        generator = torch.Generator().manual_seed(self.version)
        yield "embed", torch.randn(512, 96, generator=generator).bfloat16()
        yield "norm", torch.randn(96, generator=generator)
        yield "turned", torch.randn(6, 50, generator=generator).T
        yield "large", torch.randn(1000, 500, generator=generator)  # larger than a bucket
        yield "scale", torch.tensor(float(self.version))

    def hashes(self) -> dict[str, int]:
        return {name: hash_of(tensor) for name, tensor in self()}


class Reference:
    """What `.remote()` gives."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def future(self) -> Future[Any]:
        return self._future


class Engine:
    """An engine of one or more workers. `fault` is that of its last worker; `edit` changes what update_weights gets."""

    def __init__(self, workers: int = 1, fault: str = "") -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.learner.receiving"])  # torch is imported once
        self._calls = ThreadPoolExecutor(1)
        self._pipes, self._processes = [], []
        for worker in range(workers):
            ours, theirs = context.Pipe()
            arguments = (theirs, worker, fault if worker == workers - 1 else "")
            process = context.Process(target=serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __getattr__(self, method: str) -> Any:
        return _Method(self, method)

    def edit(self, info: dict[str, Any]) -> dict[str, Any]:
        """The update_info as it reaches the workers."""
        return info

    def submit(self, method: str, arguments: tuple[Any, ...]) -> Reference:
        return Reference(self._calls.submit(self.ask, method, *arguments))

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of all workers; the answers, or for `start_weight_update` their number."""
        if method == "update_weights":
            arguments = (self.edit(*arguments),)
        try:
            for pipe in self._pipes:
                pipe.send((method, arguments))
            answers = self._answers()
        except (EOFError, OSError) as error:
            raise ActorDiedError() from error
        for _, error in answers:
            if error is not None:
                raise remote_error(error)
        return len(answers) if method == "start_weight_update" else [answer for answer, _ in answers]

    def _answers(self) -> list[Any]:
        """Of all workers. Raises EOFError as soon as one is dead, as vLLM's executor does."""
        waiting = dict(zip(self._pipes, self._processes, strict=True))
        answers = {}
        while waiting:
            for ready in wait([*waiting, *(process.sentinel for process in waiting.values())]):
                if not isinstance(ready, Connection):
                    raise EOFError
                answers[ready] = ready.recv()
                del waiting[ready]
        return [answers[pipe] for pipe in self._pipes]

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self._calls.shutdown()
        for pipe in self._pipes:
            pipe.close()


class _Method:
    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name

    def remote(self, *arguments: Any) -> Reference:
        return self._engine.submit(self._name, arguments)


class World:
    """A sender and engines. A context: at its end no process is left."""

    def __init__(self, link: Link = LINK) -> None:
        self.weights = Weights()
        self.sender = BroadcastSender(0, self.weights, link)
        self.engines: dict[str, Any] = {}

    def add(self, name: str, workers: int = 1, fault: str = "") -> Engine:
        self.engines[name] = engine = Engine(workers, fault)
        return engine

    def remove(self, name: str) -> None:
        self.engines.pop(name).end()

    def publish(self, *names: str) -> dict[str, str]:
        """Send the next version to the engines of these names, by default to all."""
        self.weights.version += 1
        chosen = {name: self.engines[name] for name in names or self.engines}
        return self.sender.send(self.weights.version, chosen)

    def has_all(self, name: str) -> bool:
        """Whether each worker of an engine holds every tensor and the checksum of the version sent last."""
        wanted = (self.sender.checksum(), self.weights.hashes())
        return all(held == wanted for held in self.engines[name].ask("held"))


@contextmanager
def world(link: Link = LINK) -> Iterator[World]:
    made = World(link)
    try:
        yield made
    finally:
        for name in list(made.engines):
            made.remove(name)
        made.sender.close()
