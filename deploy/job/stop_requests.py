"""Who may ask a run to stop after its step: Ctrl-C or `ray job stop` (signals), and `medserl stop` (a file)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from common.errors import last_line
from deploy.job.run_folder import RunFolder

HARD_STOP = 130  # exit code of a second Ctrl-C
STOP_POLL_SECONDS = 1.0  # between two checks for a stop file (deploy/stop.py)


class StopRequests:
    """Calls `wind_down` at the first request. A second signal, or one before `heeded`, ends the process at once."""

    def __init__(self, folder: RunFolder, notify: Callable[[str], None], wind_down: Callable[[], None]) -> None:
        self._folder, self._notify, self._wind_down = folder, notify, wind_down
        self.came = False
        self.heeded = False  # once there is something to wind down

    def catch_signals(self) -> None:
        """From now on, in the running event loop; `ray job stop` and `kill` send the second."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.signalled)

    def signalled(self) -> None:
        """A signal came."""
        if self.came or not self.heeded:
            os._exit(HARD_STOP)
        self.ask("stopping after this step (Ctrl-C again: at once)")

    async def listen(self) -> None:
        """Until another terminal asks for it."""
        told = ""
        while True:
            try:
                if self._folder.asked_to_stop():
                    break
            except OSError as error:  # the folder's rights changed; they may change back
                if told != (told := last_line(error)):
                    self._notify(f"medserl stop cannot be heard ({told}): stop this run with Ctrl-C")
            await asyncio.sleep(STOP_POLL_SECONDS)
        if not self.came:
            self.ask("stopping after this step, as medserl stop requests (Ctrl-C: at once)")

    def ask(self, why: str) -> None:
        """Stop after this step."""
        self.came = True
        self._notify(why)
        self._wind_down()
