"""A real server, real connections. Runs in `.venv-openenv`, where no other library of this project is: `make openenv`.

The path of this interpreter's `openenv` command is beside it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("openenv", reason="OpenEnv is in an environment of its own: make openenv runs these tests")

import requests
import yaml
from websockets.asyncio.client import ClientConnection, connect

from envs.adapters.openenv.__main__ import SESSIONS
from envs.adapters.openenv.client import GameClient
from envs.adapters.openenv.hub import GAME
from envs.adapters.openenv.models import GameAction
from envs.adapters.session import Session
from envs.adapters.source import source_of
from tests.envs.adapters.games import GAMES, made, oracle_of

SEED = "3"
"""Of `made`."""
MANIFEST = Path(__file__).parents[3] / "openenv.yaml"
WORST = 'review_proposal(proposal_id="PROP-001")'


def serving(game: str) -> Iterator[str]:
    name, settings = GAMES[game]
    flags = ["--game", name, "--settings", json.dumps(settings), "--seed", SEED, "--port", "0"]
    command = [sys.executable, "-m", "envs.adapters.openenv", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            found = re.fullmatch(r"serving \S+ at (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            yield found[1]
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from serving("lookup")


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[ClientConnection]:
    async with connect(f"{url.replace('http', 'ws')}/ws") as connection:
        yield connection


async def said(connection: ClientConnection, kind: str, **data: object) -> dict[str, object]:
    await connection.send(json.dumps({"type": kind, **({"data": data} if kind != "state" else {})}))
    answer: dict[str, object] = json.loads(await connection.recv())
    return answer


def test_openenv_s_validator_passes_a_running_server(url: str) -> None:
    command = [str(Path(sys.executable).parent / "openenv"), "validate", "--url", url, "--json", "--timeout", "60"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert report["passed"] and report["mode"] == "simulation" and len(report["criteria"]) == 6
    assert all(criterion["passed"] for criterion in report["criteria"])


@pytest.mark.parametrize("game", GAMES)
def test_the_oracle_plays_over_the_wire_as_it_does_in_this_process(game: str) -> None:
    source = made(game)
    episode, played = oracle_of(source, 2)

    async def over(url: str) -> None:
        async with GameClient(base_url=url) as client:
            result = await client.reset(index=2)
            shown = []
            for action in episode.actions:
                assert not result.done and result.reward == 0.0
                shown.append("\n\n".join(message.content for message in result.observation.messages))
                result = await client.step(GameAction(text=action))
            assert tuple(shown) == played.shown
            assert (result.done, result.reward) == (True, played.reward)
            assert (result.observation.reason, result.observation.solved) == ("submitted", True)

    for url in serving(game):
        asyncio.run(over(url))


def test_sixty_four_sessions_at_a_time_do_not_mix(url: str) -> None:
    source = made("lookup")
    played = {index: oracle_of(source, index) for index in range(SESSIONS)}

    async def one(index: int, together: asyncio.Barrier, pauses: random.Random) -> None:
        episode, expected = played[index]
        async with GameClient(base_url=url) as client:
            await together.wait()
            result = await client.reset(index=index)
            shown = [result.observation.messages[0].content]
            for action in episode.actions:
                await asyncio.sleep(pauses.random() / 50)
                state = await client.state()
                assert (state.index, state.step_count) == (index, len(shown) - 1)
                result = await client.step(GameAction(text=action))
                shown += [message.content for message in result.observation.messages]
            assert (tuple(shown), result.reward, result.done) == (expected.shown, expected.reward, True)
            await together.wait()

    async def all_of_them() -> None:
        together = asyncio.Barrier(SESSIONS)
        await asyncio.gather(*(one(index, together, random.Random(index)) for index in played))

    asyncio.run(all_of_them())


def test_one_session_too_many_is_told_so_and_a_place_is_free_again_when_one_leaves(url: str) -> None:
    async def crowd() -> None:
        clients = [GameClient(base_url=url) for _ in range(SESSIONS)]
        await asyncio.gather(*(client.connect() for client in clients))
        await asyncio.gather(*(client.reset(index=0) for client in clients))
        async with raw(url) as late:
            refusal = json.loads(await late.recv())
            assert (refusal["type"], refusal["data"]["code"]) == ("error", "CAPACITY_REACHED")
        await clients[0].close()
        async with GameClient(base_url=url) as later:
            assert (await _until_free(later)).observation.messages
        await asyncio.gather(*(client.close() for client in clients[1:]))

    asyncio.run(crowd())


async def _until_free(client: GameClient) -> object:
    """The server hears of the one that left when it hears of it."""
    for _ in range(100):
        try:
            return await client.reset(index=0)
        except (RuntimeError, ConnectionError):
            await asyncio.sleep(0.05)
    raise AssertionError("no place became free")


def test_a_connection_that_was_lost_leaves_nothing_behind(url: str) -> None:
    async def twice() -> None:
        async with GameClient(base_url=url) as client:
            await client.reset(index=0)
            await client.step(GameAction(tool="look", arguments={"id": "a"}))
        async with GameClient(base_url=url) as client:
            assert (await client.state()).step_count == 0
            with pytest.raises(RuntimeError, match="reset first"):
                await client.step(GameAction(text="answer(value=1)"))
            assert (await client.reset(index=0)).observation.turn == 0

    asyncio.run(twice())


def test_the_typed_client_sends_calls_and_gets_records(url: str) -> None:
    async def play() -> None:
        async with GameClient(base_url=url) as client:
            opened = await client.reset(seed=5, split="public", episode_id="mine")
            assert [tool.name for tool in opened.observation.tools] == ["look", "answer"]
            state = await client.state()
            assert (state.game, state.split, state.episode_id, state.done) == ("lookup", "public", "mine", False)
            result = await client.step(GameAction(text="I look.", tool="look", arguments={"id": "b"}))
            assert result.observation.messages[0].role == "tool"
            result = await client.step(GameAction(tool="answer", arguments={"value": 11}))
            assert result.done and (result.reward, result.observation.reason) == (-1.0, "max_turns")

    asyncio.run(play())


def test_the_client_works_without_await_too(url: str) -> None:
    with GameClient(base_url=url).sync() as client:
        assert client.reset(index=1).observation.turn == 0
        assert client.step(GameAction(tool="look", arguments={"id": "a"})).observation.turn == 1


def test_a_mistake_over_the_wire_is_answered_in_one_line_and_the_session_goes_on(url: str) -> None:
    async def mistakes() -> None:
        async with raw(url) as connection:
            for data, line in (
                ({"index": -1}, "index must be a whole number from 0 on, not -1"),
                ({"split": "heldout"}, "split 'heldout': a door serves train or public tasks, never held-out ones"),
                ({"tier": "hard"}, "reset takes seed, index, split and episode_id, not tier"),
            ):
                answer = await said(connection, "reset", **data)
                assert answer["type"] == "error" and answer["data"]["message"] == line  # type: ignore[index]
            assert (await said(connection, "reset", index=0))["type"] == "observation"
            for action in ({}, {"tool": "look", "arguments": {"id": "a"}, "why": "x"}, {"arguments": {"id": "a"}}):
                assert (await said(connection, "step", **action))["type"] == "error"
            state = await said(connection, "state")
            assert state["data"]["step_count"] == 0  # type: ignore[index]

    asyncio.run(mistakes())


def test_a_request_without_a_session_is_told_what_is_wrong(url: str) -> None:
    assert requests.post(f"{url}/reset", json={"index": 3}, timeout=10).json()["observation"]["turn"] == 0
    refused = requests.post(f"{url}/step", json={"action": {"text": "x"}}, timeout=10)
    assert (refused.status_code, refused.json()["detail"]) == (422, "no episode is open: reset first")


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--game", "nope"], "unknown game 'nope'"),
        (["--settings", "{level: 3}"], "lookup.level: Extra inputs are not permitted"),
        (["--port", "nine"], "invalid int value"),
    ],
)
def test_a_server_that_cannot_be_started_says_why_in_one_line(flags: list[str], line: str) -> None:
    command = [sys.executable, "-m", "envs.adapters.openenv", "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and line in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_server_s_environment_has_no_engine_and_no_trainer() -> None:
    code = "import envs.adapters.openenv.server, sys; print([*{'torch', 'ray', 'learner', 'actors'} & {*sys.modules}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_manifest_of_the_hub_s_package_passes_its_static_checks(tmp_path: Path) -> None:
    """Of a copy: OpenEnv refuses a package with links in it, such as those of a virtual environment."""
    shutil.copy(MANIFEST, tmp_path)
    command = [str(Path(sys.executable).parent / "openenv"), "validate", str(tmp_path), "--level", "static", "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [(one["check_id"], one["status"]) for one in report["results"]] == [("static.manifest", "pass")]


def test_the_manifest_names_the_application_of_the_game_with_its_tools_and_the_bounds_of_its_reward() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text())
    module, _, name = manifest["app"].partition(":")
    app = getattr(importlib.import_module(module), name)
    assert {"/ws", "/reset", "/metadata"} <= {getattr(route, "path", "") for route in app.routes}
    session = Session(source_of(GAME))
    declared = manifest["validation"]["capabilities"]["declared_tools"]
    assert [tool.name for tool in session.reset(index=0).tools] == declared
    low, high = manifest["validation"]["reward"]["range"]
    while not session.done:
        seen = session.step("nothing that can be read" if session.info()["turn"] % 3 == 2 else WORST)
    assert low < seen.reward < -0.8 and high == 1.0
