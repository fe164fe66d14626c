"""A running run that looks for requested changes, without its actors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from common.config import RunSpec
from deploy import apply, cli
from deploy.job.resize import LiveResize
from deploy.job.start import starting_point

CONTENT: dict[str, Any] = {
    "name": "mine",
    "steps": 4,
    "rollout": {"doctors": 1},
    "learner": {"learning_rate": 0.0001},
    "pools": [{"name": "writers", "serves": ["scribe"]}, {"name": "readers", "serves": ["doctor"], "max_num_seqs": 32}],
}


class Driver:
    """A run that goes on: it keeps its folder and looks for changes, as the supervisor's heartbeat does."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.file, self.flags = home / "mine.yaml", ["--runs", str(home / "runs")]
        self.write()
        command = cli.parse([str(self.file), *self.flags, *flags])
        self.folder, _ = starting_point(command.spec, False, command.file)
        self.folder.use(self.folder.spec.concrete("bfloat16"))
        self.folder.create()
        self.notes: list[str] = []
        self.used: list[RunSpec] = []
        self.changes = LiveResize(self.folder, self.used.append, lambda: 7, self.notes.append)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(0.02):
            self.changes.poll()

    def write(self, **edits: Any) -> None:
        """The file, as it was when the run started but for these top-level fields."""
        self.file.write_text(yaml.safe_dump({**CONTENT, **edits}))

    def apply(self, *flags: str) -> int:
        return apply.main([str(self.file), *self.flags, *flags])

    def freeze(self) -> None:
        """No heartbeat any more, but the process lives."""
        self._ended.set()
        self._thread.join()

    def when_asked(self, act: Callable[[], None]) -> None:
        """`act`, a moment after a change was asked for."""

        def wait() -> None:
            while not self.folder.change.exists():
                time.sleep(0.01)
            time.sleep(0.3)
            act()

        threading.Thread(target=wait, daemon=True).start()

    def end(self) -> None:
        self.freeze()
        self.folder._lock.close()

    def recorded(self) -> RunSpec:
        return cli.load(self.folder.path / "spec.yaml")

    def logged(self) -> list[tuple[str, int, int]]:
        path = self.folder.path / "changes.jsonl"
        lines = map(json.loads, path.read_text().splitlines() if path.is_file() else [])
        return [(line["field"], line["from"], line["to"]) for line in lines]
