"""What only a card can show, in about ten minutes: engines beside the learner, three steps with each transport,
agreement, memory against the plan, tokens per second. Prints a report to paste into an issue.

    make gpu-check

Exit code 2, and one line, where nvidia-smi shows no card. A transport that the plan refuses on these cards is not run,
and the report says why.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.memory import Watch
from bench.ours import wait
from common.files import json_lines
from common.flags import flag_seconds

NO_CARD = 2
STEPS = 3
MIB_A_GIB = 1024
TRANSPORTS = ("adapter", "shm", "broadcast")
CUT = 1500  # characters of a failed run's output in the report


class Card(NamedTuple):
    """One GPU as nvidia-smi lists it."""

    name: str
    driver: str
    gib: float


class Outcome(NamedTuple):
    """One transport: the plan's refusal, the run's failure, or its figures."""

    transport: str
    refusal: str = ""
    failure: str = ""
    planned_gib: tuple[float, ...] = ()
    peak_gib: tuple[float, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()


def query(fields: str) -> str:
    """nvidia-smi's lines, a card each; "" where it cannot be asked."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def cards() -> list[Card]:
    """Every card of this machine."""
    lines = (line.split(", ") for line in query("name,driver_version,memory.total").splitlines())
    return [Card(name, driver, _gib(mib)) for name, driver, mib in lines]


def _gib(mib: str) -> float:
    """0 where nvidia-smi does not know, as on cards without memory of their own: it prints [N/A]."""
    return float(mib) / MIB_A_GIB if mib.strip().replace(".", "", 1).isdecimal() else 0.0


class CardMemory(Watch):
    """The most memory in use on each card, GiB, asked for every second."""

    def __init__(self) -> None:
        super().__init__(period=1)
        self.peak: tuple[float, ...] = ()

    def _look(self) -> None:
        used = [_gib(line) for line in query("memory.used").splitlines()]
        if used:  # nvidia-smi may be too slow to answer
            self.peak = tuple(map(max, zip(used, self.peak or used, strict=True)))


def flags(spec: str, transport: str, there: Sequence[Card], runs: str) -> list[str]:
    """The spec on these cards: a few steps, and nothing beside them."""
    given = {
        "name": f"gpu-check-{transport}",
        "runs": runs,
        "steps": STEPS,
        "backend": "cuda",
        "weights.transport": transport,
        "learner.checkpoint_every": STEPS,
        "evaluation.every": 0,
        "warm_up.steps": 10,
        "metrics.port": 0,
        "hardware.gpus": len(there),
        **({"hardware.gpu_gib": round(there[0].gib, 1)} if there[0].gib else {}),
    }
    return [spec, *(text for flag, value in given.items() for text in (f"--{flag}", str(value)))]


def tried(spec: str, transport: str, there: Sequence[Card], timeout_s: float) -> Outcome:
    """Plan, run and read one transport."""
    with tempfile.TemporaryDirectory() as runs:
        arguments = flags(spec, transport, there, runs)
        plan = subprocess.run(
            [sys.executable, "-m", "deploy.plan", *arguments, "--json"], capture_output=True, text=True
        )
        if not plan.stdout:
            return Outcome(transport, refusal=plan.stderr.strip())
        content = json.loads(plan.stdout)
        if not content["fits"]:
            return Outcome(transport, refusal="; ".join(content["problems"]))
        planned = tuple(card["used_gib"] for card in content["cards"])
        with CardMemory() as memory:
            failure = _failure([sys.executable, "-m", "deploy.selfplay", *arguments], Path(runs) / "log.txt", timeout_s)
        rows = tuple(json_lines(Path(runs) / f"gpu-check-{transport}" / "metrics.jsonl").found)
    return Outcome(transport, failure=failure, planned_gib=planned, peak_gib=memory.peak, rows=rows)


def _failure(command: Sequence[str], log: Path, timeout_s: float) -> str:
    """Run a command; what went wrong. One that takes too long is interrupted, so that its actors leave the cards."""
    with log.open("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            code = wait(process, timeout_s)
        except ValueError:
            return f"no end within {timeout_s:.0f} s: {log.read_text()[-CUT:]}"
    return f"exit code {code}: {log.read_text()[-CUT:]}" if code else ""


def report(there: Sequence[Card], spec: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The report's lines, in Markdown."""
    yield f"## gpu-check of `{spec}`"
    for number, card in enumerate(there):
        memory = f"{card.gib:.1f} GiB" if card.gib else "memory not known"
        yield f"- GPU {number}: {card.name}, {memory}, driver {card.driver}"
    for outcome in outcomes:
        yield f"### transport {outcome.transport}"
        if outcome.refusal:
            yield f"not run, refused by the plan: {outcome.refusal}"
            continue
        yield from _figures(outcome)
        if outcome.failure:
            yield f"FAILED: {outcome.failure}"


def _figures(outcome: Outcome) -> Iterator[str]:
    planned, peak = (", ".join(f"{gib:.1f}" for gib in gibs) for gibs in (outcome.planned_gib, outcome.peak_gib))
    yield f"- memory, GiB a card: {planned} planned, {peak or 'not'} measured"
    for row in outcome.rows:
        yield (
            f"- step {row['step']}: sync {'ok' if row['sync_ok'] else 'FAILED'} in {row['sync_seconds']:.2f} s "
            f"(pause {row['sync_pause_seconds']:.2f}), canary {_nats(row['canary_gap'])} and new replies "
            f"{_nats(row['fresh_logp_difference'])} nats apart, "
            f"{row['rollout_tokens_per_second']:.0f} tokens/s sampled, "
            f"{row['learner_tokens_per_second']:.0f} trained"
        )


def _nats(value: float | None) -> str:
    """A row has null where a number was not finite: what this check is there to show."""
    return "not finite or not measured" if value is None else f"{value:.4f}"


def main() -> int:
    """Run the check. 0 when every transport that the plan takes made all steps with all syncs ok, 2 without a card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default="laptop", help="default: laptop, whose model is in the lock")
    parser.add_argument("--timeout", type=flag_seconds, default=300, help="seconds for each transport")
    args = parser.parse_args()
    there = cards()
    if not there:
        print("gpu-check: nvidia-smi shows no GPU here, and all that this checks needs one", file=sys.stderr)
        return NO_CARD
    outcomes = [tried(args.spec, transport, there, args.timeout) for transport in TRANSPORTS]
    print("\n".join(report(there, args.spec, outcomes)))
    ran = [outcome for outcome in outcomes if not outcome.refusal]
    whole = all(not one.failure and len(one.rows) == STEPS and all(row["sync_ok"] for row in one.rows) for one in ran)
    return 0 if ran and whole else 1


if __name__ == "__main__":
    sys.exit(main())
