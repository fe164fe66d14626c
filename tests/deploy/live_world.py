"""A run's folder, and the page that follows it, in this process."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.config import RunSpec
from deploy import live
from deploy.job.run_folder import RunFolder


def begun(home: Path) -> RunFolder:
    """A run that has begun and made no step; its lock is held, as while it runs."""
    folder = RunFolder(RunSpec(name="mine", steps=4), home / "mine")
    folder.create()
    folder.logs.mkdir()
    return folder


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """The port of its page."""
    server = live.server(folder, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(port: int, path: str, **headers: str) -> tuple[int, str, bytes]:
    """Status, type and body."""
    connection = http.client.HTTPConnection(live.HOST, port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers["Content-Type"], body
