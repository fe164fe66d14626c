"""The address of a Ray that is gone is one line within a minute."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cluster import ray_address
from deploy.cluster.ray_address import running_cluster


@pytest.fixture
def closed() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port whose owner accepts and says nothing."""
    with socket.socket() as listening:
        listening.bind(("", 0))  # Ray writes this machine's own address for 127.0.0.1
        listening.listen()
        yield int(listening.getsockname()[1])


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Ray keeps the address of the running cluster, for this test alone."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


def refused() -> str:
    with pytest.raises(ValueError) as caught:
        running_cluster()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_both_waits_together_end_within_a_minute() -> None:
    assert ray_address.ANSWER_SECONDS * 1.5 <= 60


def test_a_stale_address_names_its_file_and_ray_stop(files: Path, closed: int) -> None:
    files.write_text(f"127.0.0.1:{closed}")
    line = refused()
    assert line.startswith("Ray at ") and f":{closed} does not answer (Connection refused): {files} names it" in line
    assert "run `ray stop`" in line


def test_a_stranger_on_the_port_of_a_stale_address_is_told_too(
    files: Path, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 0.2)
    files.write_text(f"127.0.0.1:{stranger}")
    line = refused()
    assert "something else listens there" in line and "run `ray stop`" in line


def test_an_address_that_the_user_set_is_his_to_unset(
    files: Path, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed}")
    assert refused().endswith("start it, or unset RAY_ADDRESS to run without")


def test_without_an_address_there_is_no_cluster(files: Path) -> None:
    assert not files.exists() and running_cluster() is None
