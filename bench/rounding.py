"""Share of an update that survives rounding merged weights to bfloat16, to nearest and stochastically.

    python -m bench.rounding runs/laptop

Takes a finished LoRA run: its base model, its adapter, and replies of its last step as text. With log-probs in
float32, b of the base, p of the policy and e of the rounded merge, the share that is kept is
sum((e - b)(p - b)) / sum((p - b)^2) over the tokens: 1 when engines hold the policy, 0 when they still hold the base.

Shapes: N completion tokens.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from common.flags import flag_count, flag_path
from learner.rounding import to_bfloat16

Text = tuple[list[int], list[int]]
"""Prompt and completion token ids."""

ROUNDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "to nearest": lambda weight: weight.to(torch.bfloat16),
    "stochastic": to_bfloat16,
}


def texts(run: Path, count: int) -> list[Text]:
    """The first `count` replies of the last step; of an episode of several turns its first reply, since what it was
    answered is not sampled. Raises ValueError when the run has none."""
    from pyarrow import parquet

    files = sorted((run / "rollouts").glob("*.parquet"))
    if not files:
        raise ValueError(f"{run} has no rollouts: give the folder of a finished run")
    rows = parquet.read_table(files[-1]).slice(0, count).to_pylist()
    # Rollouts from before there were turns have no step_tokens.
    return [(row["prompt_ids"], row["token_ids"][: (row.get("step_tokens") or [None])[0]]) for row in rows]


def models(run: Path) -> tuple[Any, Any]:
    """(base, policy), both in float32 and whole. Raises ValueError when the run left no adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = run / "model" / "adapter"
    if not adapter.is_dir():
        raise ValueError(f"{adapter} is missing: give a run that finished, with learner.lora_rank above 0")
    folder = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    base, under = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval() for _ in range(2))
    return base, PeftModel.from_pretrained(under, adapter).merge_and_unload().eval()


@torch.no_grad()
def logps(model: Any, some: list[Text]) -> Tensor:
    """Log-probs of all completion tokens [N]."""
    parts = []
    for prompt, completion in some:
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        parts.append(logits.log_softmax(-1).gather(-1, torch.tensor(completion)[:, None])[:, 0])
    return torch.cat(parts)


def measure(run: Path, count: int) -> Table:
    """One row per rounding mode."""
    some = texts(run, count)
    base, policy = models(run)
    base_N, policy_N = logps(base, some), logps(policy, some)
    update_N = policy_N - base_N
    exact = {name: weight.clone() for name, weight in policy.state_dict().items()}
    table = Table("rounding", "weights changed", "share of the update that is kept", "mean |error|, nats")
    table.title = f"{update_N.numel()} tokens; the update itself: {float(update_N.abs().mean()):.4f} nats on average"
    before = base.state_dict()
    for name, rounding in ROUNDINGS.items():
        moved = {key: rounding(weight).float() for key, weight in exact.items()}
        changed = sum(int((moved[key] != before[key]).sum()) for key in moved) / sum(w.numel() for w in moved.values())
        policy.load_state_dict(moved)
        error_N = logps(policy, some) - policy_N
        share = float(((error_N + update_N) * update_N).sum() / update_N.square().sum())
        table.add_row(name, f"{changed:.1%}", f"{share:.2f}", f"{float(error_N.abs().mean()):.4f}")
    return table


def main() -> None:
    """Parse the flags, measure, print the table. Exit code 2 and one line for an unsuitable run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=flag_path, help="folder of a finished run")
    parser.add_argument("--replies", type=flag_count, default=16, help="number of replies of the last step to use")
    args = parser.parse_args()
    try:
        Console(width=110).print(measure(args.run, args.replies))
    except ValueError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
