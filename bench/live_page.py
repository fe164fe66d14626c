"""Watch the page of `medserl view --live` in a browser while a real run starts, is stopped, killed and resumed.

    python -m bench.live_page --home runs --out docs      # the pictures of docs/read-results.md; minutes on a CPU

The run is deploy/specs/smoke.yaml with held-out tasks. Each line says what the page showed, and how many seconds after
the last one. Exit code 2 where no browser is found.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import browser
from bench.browser import Tab
from common.flags import flag_path

STEPS, EVERY, TASKS = 8, 2, 8
FLAGS = ("--name", "smoke", "--metrics.port", "0", "--evaluation.every", str(EVERY), "--evaluation.tasks", str(TASKS))
WAIT_SECONDS = 900.0
"""For a start: a busy machine takes minutes."""
ENDED_SECONDS = 60.0
"""For the page to show that the run has ended."""
TALL = 1150
"""Height of a picture, pixels."""
STATE = "document.getElementById('state').textContent"
STEP = "Number(document.body.dataset.steps || 0)"
HELDOUT = "document.getElementById('episodes').contentDocument?.querySelectorAll('#heldout article').length"
PICTURE = "document.getElementById('picture').naturalWidth > 0"


class Watched:
    """A run that this starts, and its page in a tab."""

    def __init__(self, home: Path, tab: Tab, out: Path) -> None:
        self._home, self._tab, self._out = home, tab, out
        self.folder = home / "smoke"
        self._run: subprocess.Popen[str] | None = None
        self._since = time.monotonic()

    def start(self, *flags: str) -> None:
        """A new process of the run; its output is in the home."""
        spec = str(self.folder / "spec.yaml") if "--resume" in flags else "smoke"
        where = ["--runs", str(self._home), "--model.cache", str(self._home / "cache")]
        with (self._home / "run.log").open("a") as log:
            self._run = subprocess.Popen(
                [sys.executable, "-m", "deploy", "selfplay", spec, *where, *FLAGS, "--steps", str(STEPS), *flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                env={"RAY_AUTH_MODE": "disabled", **os.environ},
            )

    def begun(self) -> None:
        """Wait until the run has its folder. Raises ValueError when it ends before."""
        assert self._run is not None
        while not (self.folder / "lock").is_file():
            if self._run.poll() is not None:
                raise ValueError(f"the run did not start; it said:\n{(self._home / 'run.log').read_text()[-2000:]}")
            time.sleep(0.2)

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal to the run's process, if any, and wait until it is gone; its exit code."""
        assert self._run is not None
        if number is not None:
            self._run.send_signal(number)
        return self._run.wait(WAIT_SECONDS)

    def abandon(self) -> None:
        """End what still runs."""
        if self._run is not None and self._run.poll() is None:
            self.end(signal.SIGTERM)

    def see(self, condition: str, picture: str = "") -> None:
        """Wait until the page shows it; print what it shows, and take a picture.

        Raises TimeoutError, soon where the run has ended.
        """
        assert self._run is not None
        until = time.monotonic() + WAIT_SECONDS
        while not self._tab.ask(f"Boolean({condition})"):
            if self._run.poll() is not None:
                until = min(until, time.monotonic() + ENDED_SECONDS)
            if time.monotonic() > until:
                log = (self._home / "run.log").read_text()
                raise TimeoutError(f"the page did not show {condition}; the run said:\n{log[-2000:]}")
            time.sleep(0.2)
        now = time.monotonic()
        facts = {"state": self._tab.ask(STATE), "step": self._tab.ask(STEP), "seconds": round(now - self._since, 1)}
        self._since = now
        print(json.dumps(facts), flush=True)
        if picture:
            self._tab.wait(PICTURE)
            self._tab.ask(
                "document.querySelector('details').open = false"
            )  # the log's lines name this machine's folders
            self._tab.picture(self._out / f"{picture}.png", TALL)


def watch(run: Watched, tab: Tab, page: str) -> None:
    """The whole story. Raises TimeoutError where the page does not follow it."""
    tab.open(page)
    run.see(f"{STATE} === 'warming up'")
    run.see(f"{STATE} === 'running'")
    run.see(f"{STEP} >= 2", "live-running")
    assert run.end(signal.SIGTERM) == 0, "the first signal stops after the step, with a checkpoint"
    run.see(f"{STATE} === 'stopped'")
    before = tab.ask(STEP)

    run.start("--resume")
    run.see(f"{STATE} === 'running'")
    run.see(f"{STEP} > {before}")
    run.end(signal.SIGKILL)
    run.see(f"{STATE} !== 'running'", "live-killed")

    run.start("--resume")
    run.see(f"{STATE} === 'running'")
    assert run.end() == 0
    run.see(f"{STATE} === 'finished' && {STEP} === {STEPS}")
    tab.wait(f"{HELDOUT} > 0")
    seen = tab.ask(HELDOUT)
    print(f"held-out tasks on the page: {seen} of {TASKS}")


def serve(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """`medserl view --live` as its own process, and its address. Raises ValueError where it serves nothing."""
    made = subprocess.Popen(
        [sys.executable, "-m", "deploy", "view", str(folder), "--live"], stdout=subprocess.PIPE, text=True
    )
    assert made.stdout is not None
    line = made.stdout.readline()
    found = re.search(r"http://[\d.:]+/", line)
    if found is None:
        made.wait()
        raise ValueError(f"{folder} is not served: medserl view said why")
    return made, found[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m bench.live_page`."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_page", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=flag_path, default=Path("runs"), help="where the pictures go (default: runs)")
    parser.add_argument(
        "--home", type=flag_path, help="a folder for the run, without a run smoke in it (default: a temporary one)"
    )
    given = parser.parse_args(arguments)
    if given.home and (given.home / "smoke").exists():
        parser.error(f"--home {given.home}: a run smoke is in it; name another folder")
    path = browser.find()
    if path is None:
        print("live_page: no Chromium on the path, and MEDSERL_BROWSER names none", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary, browser.browser(path) as tab:
        home = given.home or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        given.out.mkdir(parents=True, exist_ok=True)
        run = Watched(home, tab, given.out)
        run.start()
        run.begun()
        server, page = serve(run.folder)
        try:
            watch(run, tab, page)
        finally:
            server.terminate()
            server.wait()
            run.abandon()
    return 0


if __name__ == "__main__":
    sys.exit(main())
