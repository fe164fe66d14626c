"""Our loop on the workload: `python -m deploy.selfplay` as a process; its figures come from metrics.jsonl."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.memory import PeakMemory
from bench.result import Result
from bench.workload import Workload
from common.files import json_lines
from common.records import Record

DISCARDED = 2
"""First learner steps of a run that are discarded: the engine and the buffer are still filling."""


class Variant(Record):
    """A mode of our loop. Without `scribe` notes are made by rule, as the references' prompts are ready-made."""

    max_lag: int  # 0 is the synchronous loop
    scribe: bool

    @property
    def label(self) -> str:
        """Name for tables: system, lag, and whether the Scribe writes."""
        mode = f"asynchronous (lag {self.max_lag})" if self.max_lag else "synchronous"
        return f"MedSeRL, {mode}{', Scribe writing' if self.scribe else ''}"

    @property
    def name(self) -> str:
        """Of the run's folder."""
        return f"bench-lag{self.max_lag}{'-scribe' if self.scribe else ''}"


def flags(work: Workload, data: str, variant: Variant, runs: Path) -> list[str]:
    """The flags that give our loop the workload's model, batch and lengths."""
    given = {
        "name": variant.name,
        "runs": runs,
        "steps": work.steps + DISCARDED,
        "seed": work.seed,
        "envs.verdict.data.path": data,
        "model.source": work.model,
        "model.dtype": work.dtype,
        "sampling.group_size": work.group_size,
        "sampling.max_tokens": work.tokens,
        "sampling.temperature": work.temperature,
        "learner.batch_groups": work.prompts_per_step,
        "learner.lora_rank": work.lora_rank,
        "learner.lora_alpha": work.lora_alpha,
        "learner.learning_rate": work.learning_rate,
        "learner.kl_coef": work.kl_coef,
        "learner.checkpoint_every": work.steps + DISCARDED,  # the references write none either
        "buffer.max_lag": variant.max_lag,
        **({} if variant.scribe else {"envs.verdict.data.proposer_tries": 0}),
        "evaluation.every": 0,  # nor evaluate on held-out notes
        "warm_up.steps": 0,  # an untrained policy fills every completion, so the lengths are the references'
        "metrics.port": 0,
    }
    return [text for flag, value in given.items() for text in (f"--{flag}", str(value))]


def run(work: Workload, spec: str, data: str, variant: Variant, timeout_s: float) -> Result:
    """One run of our loop. Raises ValueError with the end of its output when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "deploy.selfplay", spec, *flags(work, data, variant, Path(folder))]
        with (Path(folder) / "log.txt").open("w+") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            with PeakMemory(process.pid) as memory:
                code = wait(process, timeout_s)
            log.seek(0)
            if code:
                raise ValueError(f"{' '.join(command)} ended with {code}:\n{log.read()[-3000:]}")
        rows = json_lines(Path(folder) / variant.name / "metrics.jsonl").found
    return summarise(variant.label, rows, work, memory.gib)


def wait(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """The exit code; a run past its timeout is interrupted as by Ctrl-C, and killed if it does not end."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        raise ValueError(f"our loop took longer than {timeout_s:.0f} s: give it more with --timeout") from None


def summarise(name: str, rows: list[dict[str, Any]], work: Workload, peak_gib: float) -> Result:
    """Rates over the steps after the discarded ones. Rows hold seconds, completions, rollout_tokens, learner_tokens.

    Raises ValueError when the run made no measured step.
    """
    measured = [row for row in rows if row["step"] > DISCARDED]
    if not measured:
        raise ValueError(f"{name}: {len(rows)} steps, of which the first {DISCARDED} are discarded; ask for more")
    completions = sum(row["completions"] for row in measured)
    groups = completions / work.group_size
    tokens = sum(row["rollout_tokens"] for row in measured)
    prompts = sum(row["learner_tokens"] for row in measured) - tokens
    return Result(
        name=name,
        completions=completions,
        seconds=sum(row["seconds"] for row in measured),
        tokens=tokens,
        prompt_tokens=prompts / groups,
        generate_s=0.0,
        train_s=sum(row["step_seconds"] for row in measured) / len(measured),
        peak_memory_gib=peak_gib,
    )
