"""Whatever is in a file, a variable, a path or behind a port: a command succeeds or ends with one clear line."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.command_line import BAD_INPUT
from common.config import RunSpec
from common.paths import input_path, path_of
from deploy import cli, status
from deploy.job import run_state
from deploy.job.metrics_row import metrics_row
from deploy.report.comparison import figures
from deploy.runs import summary
from envs.verdict.data.medec import bundled_path, load
from learner import checkpoint
from tests.deploy.job.test_run_folder import step
from tests.deploy.reports import REPORTS

SPEC = "name: r\nsteps: 4\nlearner: {lora_rank: 8, batch_groups: 4}\nenvs: {verdict: {data: {heldout: 0.5}}}\n"
WORDS = (
    "null",
    "yes",
    "off",
    ".inf",
    "nan",
    "-1",
    "1e999",
    "~",
    "[]",
    "{}",
    "[x",
    "!!bool x",
    "&a [*a]",
    "'",
    "\t",
    "9" * 5000,
)
FIELDS = (
    "steps",
    "seed",
    "name",
    "runs",
    "learner",
    "sampling__temperature",
    "filters__difficulty",
    "stepz",
    "ENVS",
    "pools",
)
STEPS = b"".join(json.dumps(metrics_row(step(number), REPORTS)).encode() + b"\n" for number in (1, 2, 3))


def one_line(call: Callable[[], object]) -> str:
    """What a call says when it refuses, which is one line; empty when it succeeds."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            code = call()
        assert code in (None, 0, BAD_INPUT) or not isinstance(code, int)
        text = said.getvalue() if code == BAD_INPUT else ""
    except ValueError as error:
        text = str(error)
    except SystemExit as ended:
        assert ended.code == BAD_INPUT
        text = said.getvalue()
    assert len(text.strip().splitlines()) <= 1, text
    return text


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with some of them, anywhere, replaced by others."""
    places = st.tuples(st.integers(0, len(whole)), st.integers(0, 20), st.binary(max_size=6))
    return st.lists(places, max_size=3).map(lambda cuts: _cut(whole, cuts))


def _cut(whole: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, put in cuts:
        whole = whole[:at] + put + whole[at + length :]
    return whole


@given(damaged(SPEC.encode()) | st.binary(max_size=40))
@example(b"\xff\xfen\0a\0")
@example(b"[" * 300)
@example(b"a: &a [*a]")
def test_a_spec_of_any_bytes_is_read_or_refused_in_one_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run [x].yaml"
        path.write_bytes(content)
        said = one_line(lambda: cli.load(path))
        assert not said or "run [x].yaml" in said


@given(st.sampled_from(FIELDS), st.sampled_from(WORDS) | st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_spec_with_any_value_of_a_field_is_read_or_refused_in_one_line(field: str, value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.yaml"
        path.write_text(f"{field.replace('__', ': {')}: {value}{'}' * field.count('__')}\n", encoding="utf-8")
        read = list[Any]()
        said = one_line(lambda: read.append(cli.load(path)))
        assert bool(said) != bool(read), "read, or refused with a reason"


@given(
    st.dictionaries(
        st.sampled_from([f"MEDSERL_{name.upper()}" for name in FIELDS] + ["medserl_seed", "medserl_nonsense"]),
        st.sampled_from(WORDS) | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8),
        max_size=2,
    )
)
def test_any_environment_is_taken_or_refused_in_one_line(variables: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, variables):
        path = Path(folder) / "run.yaml"
        path.write_text(SPEC)
        said = one_line(lambda: cli.parse([str(path)]))
        assert said or all(name.upper() != "MEDSERL_NONSENSE" for name in variables), "a misspelt one is refused"


_CELLS = [{**row} for row in csv.DictReader(io.StringIO(bundled_path().read_text()))][:6]


def notes(rows: list[dict[str, str]]) -> bytes:
    """An official CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(_CELLS[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


@given(damaged(notes(_CELLS)), st.booleans())
@example(notes([*_CELLS[:2], {**_CELLS[2], "Sentences": "0 " + "word " * 50_000}]), True)
@example(b"\x0b\x80" + notes(_CELLS), False)
def test_notes_with_random_damage_are_read_or_refused_in_one_line(content: bytes, skip: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.csv"
        path.write_bytes(content)
        said = one_line(lambda: load(path, skip))
        assert not said or "notes.csv" in said


@given(st.sampled_from(list(_CELLS[0])), st.text() | st.sampled_from(["0 a\n1 b\n1 c", "5.0", "-1", "NA", "0"]))
def test_a_row_with_any_cell_costs_no_other_row(field: str, cell: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.csv"
        path.write_bytes(notes([{**_CELLS[0], field: cell}, *_CELLS[1:]]))
        found: list[Any] = []
        said = one_line(lambda: found.append(load(path, skip_bad_rows=True)))
        assert said == "" and len(found[0].notes) + len(found[0].skipped) >= len(_CELLS) - 1


_PAIRS = b"".join(
    json.dumps(
        {
            "note_id": f"p-{n}",
            "incorrect_note": "Seen today. He gets a cast. He is well.",
            "error_type": "treatment",
            "error_sentence": "He gets a cast.",
            "corrected_sentence": "He rests.",
        }
    ).encode()
    + b"\n"
    for n in range(3)
)


@given(damaged(_PAIRS), st.booleans())
@example(_PAIRS + b"[" * 100_000 + b"\n", True)
def test_pairs_with_random_damage_are_read_or_refused_in_one_line(content: bytes, skip: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.jsonl"
        path.write_bytes(content)
        read = list[Any]()
        said = one_line(lambda: read.append(load(path, skip)))
        assert bool(said) != bool(read) and (not said or "pairs.jsonl" in said)


@contextmanager
def run(files: dict[str, bytes]) -> Iterator[Path]:
    """A run's folder with these files in place of whole ones."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "r [x]"
        made.mkdir()
        for name, content in {"spec.yaml": SPEC.encode(), "metrics.jsonl": STEPS, **files}.items():
            (made / name).write_bytes(content)
        yield made


@given(damaged(STEPS))
def test_metrics_with_random_damage_end_no_command(content: bytes) -> None:
    with run({"metrics.jsonl": content}) as made:
        assert one_line(lambda: status.main([str(made), "--port", "0"])) == ""
        assert one_line(lambda: figures(made)) == one_line(lambda: summary(made)) == ""


@given(st.sampled_from(["outcome.json", "time.json", "evaluations.jsonl", "job-id", "lock"]), st.binary(max_size=60))
def test_any_bytes_in_a_file_beside_the_metrics_end_no_command(name: str, content: bytes) -> None:
    with run({name: content}) as made:
        assert one_line(lambda: status.main([str(made), "--port", "0"])) == ""
        assert one_line(lambda: run_state.state_of(made)) == ""


@given(st.data())
def test_a_manifest_with_random_damage_ends_no_run(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in (4, 5, 6):
            made = checkpoint.begin(Path(folder), number)
            (made / "x.pt").write_bytes(b"x")
            checkpoint.commit(made, step=number, policy_version=number, ranks=1, score=(0.1,))
        manifest = Path(folder) / "checkpoints" / "step-00004" / "manifest.json"
        manifest.write_bytes(data.draw(damaged(manifest.read_bytes())))
        checkpoint.newest(Path(folder))
        checkpoint.best(Path(folder))
        checkpoint.prune(Path(folder), 3)


@given(st.text())
@example("~")
@example("~nobody/x")
@example("a\0b")
@example("x" * 5000)
def test_any_path_is_read_or_refused_in_one_line(written: str) -> None:
    for read in (path_of, input_path, load, lambda text: RunSpec(runs=text)):
        try:
            read(written)
        except UnicodeEncodeError as error:
            assert str(error)
        except ValueError as error:
            assert "Traceback" not in str(error)


@contextmanager
def stranger(reply: bytes) -> Iterator[int]:
    """A port of this machine where a program gives one reply to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            try:
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(4096)
                        client.sendall(reply)
            except OSError:
                return

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


_PAGE = b'HTTP/1.0 200 OK\r\n\r\n# TYPE medserl_run_info gauge\nmedserl_run_info{id=""} 1\n'


@given(st.binary(max_size=60) | damaged(_PAGE))
@example(b"SSH-2.0-OpenSSH_9.2\r\n")
@example(b"HTTP/1.1 200 OK\r\n\r\n<!doctype html><p class='a b'>hello")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nmedserl_x 1")
def test_status_takes_a_stranger_on_its_port_for_no_answer(reply: bytes) -> None:
    with run({}) as made, stranger(reply) as port:
        assert one_line(lambda: status.main([str(made), "--port", str(port)])) == ""
        assert not status.scrape("127.0.0.1", port, job="another")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_status_asks_no_proxy(variable: str) -> None:
    with run({}) as made, stranger(_PAGE) as port, patch.dict(os.environ, {variable: "http://127.0.0.1:9"}):
        assert status.scrape("127.0.0.1", port, job="") == {("medserl_run_info", ("",)): 1.0}
        assert made.is_dir()
