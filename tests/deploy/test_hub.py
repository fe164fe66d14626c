"""Uploads with Hugging Face's own library, to a server of ours in the place of the hub."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration  # the library takes seconds to import
CODE = """import sys
from deploy.hub import push
try:
    print(push({folder!r}, "me/doctor"{public}))
except ValueError as refusal:
    print("refused:", refusal)
"""


class Hub(ThreadingHTTPServer):
    """What the library needs of the hub's API to make a model and upload files into it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.private: bool | None = None  # until it was made
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer({"id": "me/doctor", "private": self.server.private, "siblings": [], "sha": "0" * 40})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]
            self._answer({"files": modes})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer(
                {"commitUrl": f"{self.server.address}/me/doctor/commit/1", "commitOid": "1" * 40, "success": True}
            )
        else:
            self._answer({"errors": [], "warnings": []})

    def _create(self, asked: dict[str, Any]) -> None:
        there = self.server.private is not None
        if not there:
            self.server.private = asked.get("private") is True or asked.get("visibility") == "private"
        self._answer({"url": f"{self.server.address}/me/doctor", "name": "me/doctor"}, 409 if there else 200)

    def _answer(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A Doctor\n")
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    return folder


def pushed(folder: Path, address: str, public: bool = False) -> str:
    code = CODE.format(folder=str(folder), public=", public=True" if public else "")
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_TOKEN": "hf_stand_in", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_export_is_uploaded_whole_into_a_private_model(hub: Hub, exported: Path) -> None:
    said = pushed(exported, hub.address)
    assert said == f"uploaded to {hub.address}/me/doctor, private\n" and hub.private is True
    assert hub.files == {file.name: file.read_bytes() for file in exported.iterdir()}
    assert "Bearer hf_stand_in" in hub.tokens


def test_a_model_that_everybody_may_read_gets_nothing_unless_that_is_meant(hub: Hub, exported: Path) -> None:
    hub.private = False
    said = pushed(exported, hub.address)
    assert said.startswith("refused: --push me/doctor: everybody may read that model") and not hub.files
    assert "which everybody may read" in pushed(exported, hub.address, public=True) and len(hub.files) == 2


def test_a_hub_that_does_not_answer_is_one_line_that_says_where_the_export_is(exported: Path) -> None:
    with Hub() as gone:
        address = gone.address
    said = pushed(exported, address)
    assert said.startswith("refused: --push me/doctor: ") and said.count("\n") == 1
    assert said.endswith(f"the export is in {exported}\n")
