"""The application that `openenv.yaml` names: the game of audits, as a hub serves it.

.venv-openenv/bin/python -m uvicorn envs.adapters.openenv.hub:app --port 8000
"""

from __future__ import annotations

from envs.adapters.openenv.__main__ import SESSIONS
from envs.adapters.openenv.server import app_of
from envs.adapters.source import source_of

GAME = "oversight"

app = app_of(source_of(GAME), SESSIONS)
