"""The page of `medserl view RUN --live`: a run's state, curves and episodes in a browser, anew after each step.

It reads the run's folder and writes nothing, so it may come and go while the run does. Only this machine reaches it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yaml import YAMLError

from common.config import RunSpec
from common.errors import last_line
from common.files import is_file
from deploy import cli, program
from deploy.job.run_state import RunState, is_running, outcome, state_of
from deploy.report.outlook import time_left
from deploy.report.steps import FILE, read_steps
from deploy.report.terminal import cell, columns
from envs.contract.reports import alarm_spans, reports_of
from evals.core import curve

HOST = "127.0.0.1"
ROWS, MESSAGES, TAIL = 12, 6, 8192
"""Steps and messages that are shown; how much of the log is read for the latter, bytes."""
_HERE = Path(__file__).parent
_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"
Answer = tuple[bytes, str]
"""Body and type."""


def serve(folder: Path, port: int) -> None:
    """Serve the page until Ctrl-C. Raises ValueError, one line, for what is no run and for a port that is taken."""
    with server(folder, port) as made:
        print(f"{folder} is at http://{HOST}:{made.server_port}/ until Ctrl-C; the run goes on", flush=True)
        with suppress(KeyboardInterrupt):
            made.serve_forever()


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """The server, listening. Raises ValueError like `serve`."""
    if not is_file(folder / "spec.yaml") and not (folder.is_dir() and is_running(folder)):
        cli.load_run(folder)  # says what is wrong
    live = Live(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.close_connection = True
            try:
                host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
                if host not in (HOST, "localhost"):  # another site's name for this address
                    self._send(403, (b"ask for it as localhost", _TEXT))
                    return
                found = live.answer(urlsplit(self.path).path)
            except (ValueError, YAMLError, OSError) as error:
                self._send(404, (last_line(error).encode(), _TEXT))
                return
            self._send(200 if found else 404, found or (b"no such page", _TEXT))

        def _send(self, code: int, answer: Answer) -> None:
            body, kind = answer
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            with suppress(ConnectionError):  # the browser did not wait for the end
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A line for each request would hide the address."""

    try:
        made = ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise ValueError(f"--port {port} cannot be used ({last_line(error)}): choose another, or 0") from None
    made.daemon_threads = True
    return made


class Live:
    """What the page asks for. Picture and episodes are made once after each change of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()  # two tabs wait for one picture
        self._made: dict[str, tuple[str, Answer]] = {}

    def answer(self, path: str) -> Answer | None:
        """None for an unknown path. Raises ValueError where there is nothing to show yet."""
        if path == "/state.json":
            return json.dumps(state(self._folder)).encode(), _JSON
        if path == "/":
            return (_HERE / "live.html").read_bytes(), "text/html; charset=utf-8"
        if path == "/live.js":
            return (_HERE / "live.js").read_bytes(), "text/javascript; charset=utf-8"
        if path == "/style.css":
            return (_HERE / "report" / "episodes_page.css").read_bytes(), "text/css; charset=utf-8"
        if path == "/spec.yaml":
            return (self._folder / "spec.yaml").read_bytes(), _TEXT
        if path in ("/progress.png", "/episodes.html"):
            return self._fresh(path)
        return None

    def _fresh(self, path: str) -> Answer:
        # They bring matplotlib, for which the first look at the page should not wait.
        from deploy.report import episodes_page, plot

        make: dict[str, Callable[[RunSpec], Answer]] = {
            "/progress.png": lambda spec: (plot.picture(self._folder, reports_of(spec)), "image/png"),
            "/episodes.html": lambda spec: (
                episodes_page.page(self._folder, reports_of(spec), spec.learner).encode(),
                "text/html; charset=utf-8",
            ),
        }
        with self._lock:
            now = stamp(self._folder)
            known = self._made.get(path)
            if known is None or known[0] != now:
                known = self._made[path] = now, make[path](cli.load_run(self._folder))
            return known[1]


def stamp(folder: Path) -> str:
    """Changes whenever a step or a point of the held-out curve was added, or dropped by a resume."""
    files = [path.stat() for name in (FILE, curve.FILE) if (path := folder / name).is_file()]
    return "-".join(f"{one.st_mtime_ns}.{one.st_size}" for one in files)


def state(folder: Path) -> dict[str, Any]:
    """The state of the run, for the page. A run that warms up has no spec in its folder yet."""
    about: dict[str, Any] = {"run": folder.resolve().name, "stamp": stamp(folder), "messages": messages(folder)}
    if not is_file(folder / "spec.yaml"):
        return {**about, "state": "warming up" if is_running(folder) else "gone", "steps": 0, "of": None}
    spec, now, ended = cli.load_run(folder), state_of(folder), outcome(folder)
    reports, rows = reports_of(spec), read_steps(folder)
    newest = rows.found[-1:]
    points = curve.points(folder / curve.FILE)
    running = now is RunState.RUNNING
    ends = {span.text: span.last for name, one in reports.items() for span in alarm_spans(name, one, rows.found)}
    return {
        **about,
        "state": str(now),
        "error": ended.error if ended and not running else "",
        "steps": newest[0]["step"] if newest else 0,
        "of": spec.steps,
        "age": time.time() - newest[0]["time"] if newest else None,
        "left": time_left(rows.found, spec.steps) if running else "",
        "resume": "" if running or now is RunState.FINISHED else _resume(folder),
        "heldout": curve.line(points.found[-1], reports) if points.found else "",
        "alarms": [text for text, last in ends.items() if last == newest[0]["step"]],
        "damaged": [*rows.damaged, *points.damaged],
        "columns": [title for title, *_ in columns(reports)],
        "rows": [[cell(row, key, form) for _, key, form in columns(reports)] for row in rows.found[-ROWS:]],
    }


def _resume(folder: Path) -> str:
    return program.typed("selfplay", folder / "spec.yaml", "--resume")


def messages(folder: Path) -> list[str]:
    """The newest lines of the driver's log: time and message."""
    log = folder / "logs" / "driver.log"
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().decode(errors="replace").splitlines()
    told = [(line[11:19], line.partition(" task=")[2].partition(": ")[2]) for line in lines]
    return [f"{when}  {message}" for when, message in told if message][-MESSAGES:]
