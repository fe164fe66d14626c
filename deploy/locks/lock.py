"""Turn pip's resolution report into a lock file: plain `name==version` lines, sorted, without host names.

    pip install --dry-run --ignore-installed --report report.json "vllm==0.32.0" ...
    python -m deploy.locks.lock report.json > deploy/locks/gpu.lock.txt

`--against deploy/locks/cpu.lock.txt` lists on stderr where the two locks differ.

torch is the exception, `torch===version`: `==2.13.0` would take 2.13.0+cpu as well, where pip knows a folder with it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys

from common.flags import flag_path


def lock_lines(report: str) -> list[str]:
    """The report's resolved distributions as sorted `name==version` lines with normalised names (PEP 503).

    `===` where a build for CPUs must not do instead. Raises ValueError when the text is not a pip report.
    """
    try:
        items = json.loads(report)["install"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError("not a pip report: write one with pip install --dry-run --report FILE") from error
    found = {_normal(item["metadata"]["name"]): item["metadata"]["version"] for item in items}
    return [f"{name}{_equals(name, version)}{version}" for name, version in sorted(found.items())]


def _equals(name: str, version: str) -> str:
    """By PEP 440, `==` passes over the local part of a version (+cpu), unless it is named."""
    return "===" if name == "torch" and "+" not in version else "=="


def versions(lines: list[str]) -> dict[str, str]:
    """The version of each name in a lock."""
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {name: version.removeprefix("=") for name, _, version in pairs}


def differences(lines: list[str], other: list[str]) -> list[str]:
    """One line for each name that both locks hold at different versions."""
    theirs = versions(other)
    pairs = versions(lines).items()
    return [f"{name}: {v} here, {theirs[name]} there" for name, v in pairs if theirs.get(name, v) != v]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print the lock; differences go to stderr."""
    parser = argparse.ArgumentParser("python -m deploy.locks.lock", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("report", type=flag_path)
    parser.add_argument("--against", type=flag_path)
    args = parser.parse_args()
    lines = lock_lines(args.report.read_text())
    print("\n".join(lines))
    if args.against:
        print("\n".join(differences(lines, args.against.read_text().split())), file=sys.stderr)


if __name__ == "__main__":
    main()
