"""Serve a game: `.venv-openenv/bin/python -m envs.adapters.openenv --game lookup`."""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn
import yaml

from common.command_line import Parser
from envs.adapters.openenv.server import SESSIONS, app_of
from envs.adapters.source import source_of

NAME = "openenv"


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted. A mistake is one line and exit code 2."""
    parser = Parser(NAME, "python -m envs.adapters.openenv", "Serves a game to clients of OpenEnv.")
    parser.add_argument("--game", default="lookup", help="an id, or package.module:Class")
    parser.add_argument("--settings", default="{}", help="the game's own settings, as YAML")
    parser.add_argument("--seed", type=int, default=0, help="of the training tasks")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="connections at a time")
    given = parser.parse_args(arguments)
    try:
        settings: dict[str, Any] = yaml.safe_load(given.settings)
        app = app_of(source_of(given.game, given.seed, **settings), given.sessions)
        listener = socket.create_server((given.host, given.port))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    host, port = listener.getsockname()[:2]
    print(f"serving {given.game} at http://{host}:{port}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1:])
