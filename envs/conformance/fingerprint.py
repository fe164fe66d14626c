"""A digest of everything that an environment generates, to compare processes.

    python -m envs.conformance.fingerprint '{"id": "verdict"}'

Python salts the order of sets by process (PYTHONHASHSEED), so a generator that iterates over one is found here only.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys

import msgspec

from common.sections import EnvSettings
from envs.conformance.baselines import SILENT
from envs.contract import registry
from envs.contract.env import Environment
from envs.contract.spec import read


async def fingerprint(env: Environment, count: int) -> str:
    """Digest of the first `count` slots of the plan with their tasks and labels."""
    digest = hashlib.sha256()
    for index in range(count):
        slot = env.plan(index)
        made = await env.propose(slot, random.Random(slot.seed), SILENT)
        digest.update(msgspec.json.encode([slot, made]))
    return digest.hexdigest()


def elsewhere(settings: EnvSettings, count: int, hash_seed: int) -> str:
    """The fingerprint that a new process finds, with that PYTHONHASHSEED. Raises RuntimeError when it fails."""
    command = [
        sys.executable,
        "-m",
        "envs.conformance.fingerprint",
        settings.model_dump_json(),
        "--count",
        str(count),
    ]
    ended = subprocess.run(
        command,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {ended.stderr[-500:]}")
    return ended.stdout.strip()


def main() -> None:
    """Print the fingerprint."""
    parser = argparse.ArgumentParser(
        prog="python -m envs.conformance.fingerprint", description="Digest what an environment makes."
    )
    parser.add_argument("settings", help="an entry of a spec's envs, as JSON")
    parser.add_argument("--count", type=int, default=100, help="slots of the plan")
    options = parser.parse_args()
    (settings,) = read(json.loads(options.settings))
    env = registry.make(settings, seed=0)
    print(asyncio.run(fingerprint(env, options.count)))


if __name__ == "__main__":
    main()
