"""Serve a game: `.venv-openenv/bin/python -m envs.adapters.openenv --game lookup`."""

from __future__ import annotations

import socket
import sys
from typing import Any

import yaml

from common.command_line import Parser
from envs.adapters.source import Source, source_of

NAME = "openenv"
SESSIONS = 64


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
        source = source_of(given.game, given.seed, **settings)
        listener = socket.create_server((given.host, given.port))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    _serve(source, given.sessions, listener)


def _serve(source: Source, sessions: int, listener: socket.socket) -> None:
    """OpenEnv takes seconds to import: mistakes are answered before."""
    import uvicorn

    from envs.adapters.openenv.server import app_of

    server = uvicorn.Server(uvicorn.Config(app_of(source, sessions), log_level="warning"))
    host, port = listener.getsockname()[:2]
    print(f"serving {source.name} at http://{host}:{port}", flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1:])
