"""A digest of everything that an environment generates, to compare processes.

    python -m envs.conformance.fingerprint verdict --settings '{data: {path: notes.csv}}'

Python salts the order of sets by process (PYTHONHASHSEED), so a generator that iterates over one is found here only.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
import sys

import msgspec

from common.command_line import Parser, fail
from common.sections import EnvSettings
from envs.conformance.baselines import SILENT
from envs.contract import registry
from envs.contract.env import Environment
from envs.contract.spec import named


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
        settings.id,
        "--settings",
        settings.model_dump_json(),
        "--count",
        str(count),
    ]
    ended = subprocess.run(
        command,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {ended.stderr[-500:]}")
    return ended.stdout.split()[0]


def main() -> None:
    """Print a line `DIGEST  ENV` for each environment."""
    parser = Parser(
        "fingerprint", "python -m envs.conformance.fingerprint", "Print a digest of an environment's tasks.", ()
    )
    known = ", ".join(registry.GAMES)
    parser.add_argument("envs", nargs="*", metavar="ENV", help=f"package.module:Class, or an id ({known}: the default)")
    parser.add_argument("--settings", default="{}", help="the settings of one ENV, as YAML: '{data: {path: a.csv}}'")
    parser.add_argument("--count", type=int, default=100, help="slots of the plan")
    options = parser.parse_args()
    try:
        environments = [registry.make(settings, seed=0) for settings in named(options.envs, options.settings)]
    except ValueError as wrong:
        fail("fingerprint", str(wrong))
    for env in environments:
        print(asyncio.run(fingerprint(env, options.count)), "", env.env_id)


if __name__ == "__main__":
    main()
