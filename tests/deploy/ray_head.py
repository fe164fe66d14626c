"""A Ray cluster of a test's own, as `ray start --head` makes it, on free ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

PORTS = (
    "port",
    "dashboard-port",
    "metrics-export-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "node-manager-port",
)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


class RayHead:
    """The head's process. It says what it does in `log`; `files` is a folder of a short name, for its sockets."""

    def __init__(self, tree: Path, files: str, log: Path) -> None:
        self.log = log
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.address = f"127.0.0.1:{ports['port']}"
        self.dashboard = f"http://127.0.0.1:{ports['dashboard-port']}"
        flags: dict[str, object] = {**ports, "temp-dir": files, "num-cpus": 4, "node-ip-address": "127.0.0.1"}
        flags |= {"object-store-memory": 100_000_000}
        given = [f"--{name}={value}" for name, value in flags.items()]
        ours = {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(tree), "PYTHONUNBUFFERED": "1"}
        self.environment = {**os.environ, **ours}
        self._tree = tree
        self.process = self.ray("start", "--head", "--block", "--disable-usage-stats", *given, out=log)

    def ray(self, *arguments: str, out: Path) -> subprocess.Popen[bytes]:
        """Start a `ray` command in the tree."""
        with out.open("w") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", *arguments],
                cwd=self._tree,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Until jobs can join."""
        while "Ray runtime started" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)

    def end(self) -> None:
        """Stop this cluster and nothing else: `ray stop` would end everybody's."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        _, left = psutil.wait_procs(started, timeout=10)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def ray_head(tree: Path, log: Path) -> Iterator[RayHead]:
    """A cluster, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as files:
        head = RayHead(tree, files, log)
        try:
            yield head
        finally:
            head.end()
