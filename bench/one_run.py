"""One run of the loop as its own process, for the benches that show learning."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.ours import wait

SELFPLAY = "deploy.selfplay"


def name_of(seed: int, max_lag: int) -> str:
    """Of the run's folder in its home."""
    return f"seed{seed}-lag{max_lag}"


def cache_of(home: Path, seed: int) -> Path:
    """The model cache of a seed: its runs share the warmed-up model."""
    return home / f"cache-{seed}"


def warmed(home: Path, seed: int) -> Path:
    """The warmed-up model of a seed's runs."""
    folders = list((cache_of(home, seed) / "warm").iterdir())
    assert len(folders) == 1, f"a seed has one warm-up, found {folders}"
    return folders[0]


def run(
    spec: Path,
    seed: int,
    max_lag: int,
    home: Path,
    timeout_s: float,
    name: str = "",
    module: str = SELFPLAY,
    fields: Mapping[str, object] | None = None,
) -> float:
    """Minutes that `spec` took with this seed and lag, and these `fields`; its folder is home / `name`.

    Raises ValueError with the end of its output when it fails.
    """
    name = name or name_of(seed, max_lag)
    given = {"name": name, "runs": home, "seed": seed, "buffer.max_lag": max_lag, "model.cache": cache_of(home, seed)}
    flags = [text for flag, value in {**given, **(fields or {})}.items() for text in (f"--{flag}", str(value))]
    return complete([sys.executable, "-m", module, str(spec), *flags], home / f"{name}.txt", timeout_s)


def complete(command: Sequence[str], log: Path, timeout_s: float) -> float:
    """Minutes that the command took; its output is in `log`. Raises ValueError with the end of it when it fails."""
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        code = wait(process, timeout_s)
    if code:
        raise ValueError(f"{' '.join(command)} ended with {code}:\n{log.read_text()[-3000:]}")
    return (time.monotonic() - started) / 60
