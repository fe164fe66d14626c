"""Turn pip's resolution report into a lock file: plain `name==version` lines, sorted, without host names.

    pip install --dry-run --ignore-installed --report report.json "vllm==0.32.0" ...
    python -m deploy.locks.lock report.json > deploy/locks/gpu.lock.txt

`--against deploy/locks/cpu.lock.txt` lists on stderr where the two locks differ.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path


def lock_lines(report: str) -> list[str]:
    """The report's resolved distributions as sorted `name==version` lines with normalised names (PEP 503).

    Raises ValueError when the text is not a pip report.
    """
    try:
        items = json.loads(report)["install"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError("not a pip report: write one with pip install --dry-run --report FILE") from error
    found = {_normal(item["metadata"]["name"]): item["metadata"]["version"] for item in items}
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def differences(lines: list[str], other: list[str]) -> list[str]:
    """One line for each name that both locks hold at different versions."""
    theirs = dict(line.split("==", 1) for line in other if "==" in line)
    pairs = (line.split("==", 1) for line in lines)
    return [f"{name}: {v} here, {theirs[name]} there" for name, v in pairs if theirs.get(name, v) != v]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print the lock; differences go to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("report", type=Path)
    parser.add_argument("--against", type=Path)
    args = parser.parse_args()
    lines = lock_lines(args.report.read_text())
    print("\n".join(lines))
    if args.against:
        print("\n".join(differences(lines, args.against.read_text().split())), file=sys.stderr)


if __name__ == "__main__":
    main()
