"""A headless Chromium, driven over its own protocol (https://chromedevtools.github.io/devtools-protocol/): it opens a
page, asks the page, and takes pictures. No driver has to be installed, only a browser."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
START_SECONDS, WAIT_SECONDS, POLL_SECONDS = 120.0, 120.0, 0.2
LARGEST = 1 << 26
"""Of an answer, bytes: a picture of a long page is one."""


def find() -> str | None:
    """A browser on this machine; None without one. MEDSERL_BROWSER names one that is elsewhere."""
    named = os.environ.get("MEDSERL_BROWSER")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)


class Tab:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol, and its result. Raises ValueError when the browser refuses it."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:  # events come in between
            said = json.loads(self._socket.recv(timeout=WAIT_SECONDS))
            if said.get("id") == number:
                break
        if "error" in said:
            raise ValueError(f"{method}: {said['error']['message']}")
        found: dict[str, Any] = said["result"]
        return found

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is loaded."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression; of a promise, what it gives. Raises ValueError for an exception."""
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise ValueError(f"{expression}: {said['exceptionDetails']['text']}")
        return said["result"].get("value")

    def wait(self, condition: str, seconds: float = WAIT_SECONDS) -> None:
        """Until an expression is true, as JavaScript means it. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not self.ask(f"Boolean({condition})"):
            if time.monotonic() > until:
                raise TimeoutError(f"not true within {seconds:.0f} s: {condition}")
            time.sleep(POLL_SECONDS)

    def picture(self, path: Path, height: int | None = None) -> None:
        """Write a PNG of the top of the page, `height` pixels of it, or all that is in the window."""
        clip = {} if height is None else {"clip": {"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1}}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=height is not None, **clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def width(self) -> int:
        """Of the window, pixels."""
        return int(self.ask("window.innerWidth"))


@contextmanager
def browser(path: str, width: int = 1280, height: int = 900) -> Iterator[Tab]:
    """A tab of the browser at `path`, with a profile of its own. Raises TimeoutError when it does not start."""
    with tempfile.TemporaryDirectory(prefix="tab-", ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--hide-scrollbars"]
        flags += ["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},{height}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # it refuses root otherwise
        with subprocess.Popen(
            [path, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                with connect(_address(Path(profile)), max_size=LARGEST, proxy=None) as socket:
                    tab = Tab(socket)
                    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
                    tab.call("Emulation.setDeviceMetricsOverride", **size)
                    yield tab
            finally:
                process.terminate()


def _address(profile: Path) -> str:
    """Of its first tab. The browser writes its port into the profile."""
    file, until = profile / "DevToolsActivePort", time.monotonic() + START_SECONDS
    while not (file.is_file() and file.read_text().count("\n")):
        if time.monotonic() > until:
            raise TimeoutError(f"the browser did not start within {START_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    port = file.read_text().splitlines()[0]
    with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/json", timeout=WAIT_SECONDS) as answer:
        tabs = json.load(answer)
    return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
