"""Time saved by packing: forward and backward of one group, with the prompt once in a packed row or in each of n rows.

    python -m bench.packing

Same model, LoRA, log-probs of the same sampled tokens, no gradient checkpointing in either; the two variants
alternate, and the table shows the median of each and of their ratios.

Shapes: n episodes, S tokens of a row, D hidden size, N sampled tokens.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from bench.flags import add_model
from common.backends import best_dtype
from common.config import LearnerSpec, ModelSpec
from common.flags import flag_count
from common.models import resolve_model
from common.record import Ids, frozen
from common.records import Completion, Step
from learner.batch import PackedGroup, pack_episodes
from learner.head import head_logps
from learner.policy import completion_logps, load_policy

CHUNK = LearnerSpec().logp_chunk


def group(
    vocabulary: int, prompt: int, episodes: int, tokens: int, turns: Sequence[int] = (1,), observed: int = 0
) -> PackedGroup:
    """A group of random tokens; its episodes have so many turns, one after another, of `tokens` sampled ids each."""
    generator = torch.Generator().manual_seed(0)

    def drawn(count: int) -> Ids:
        return frozen(torch.randint(vocabulary, (count,), generator=generator).numpy(), np.int32)

    def step() -> Step:
        completion = Completion(
            text="",
            token_ids=drawn(tokens),
            logps=frozen(np.zeros(tokens), np.float32),
            versions=frozen(np.zeros(tokens), np.int32),
            finish_reason="length",
            engine="",
        )
        return Step(completion=completion, observed=drawn(observed))

    made = [[step() for _ in range(turns[at % len(turns)])] for at in range(episodes)]
    return pack_episodes(drawn(prompt), made, "bench")


def repeated_logps(module: nn.Module, packed: PackedGroup) -> Tensor:
    """The same log-probs [N] from n ordinary rows, padded to the longest, as OpenRLHF and TRL compute them."""
    model = module.get_base_model()  # type: ignore[operator]
    prompt = packed.prompt_S
    branches = torch.split(packed.ids_S[prompt.numel() :], packed.length_n.tolist())
    # Padding is on the right and attention is causal, so that no real token sees it.
    ids_nS = pad_sequence([torch.cat([prompt, branch]) for branch in branches], batch_first=True)
    hidden_nSD = model.get_decoder()(input_ids=ids_nS, use_cache=False).last_hidden_state
    hidden_ND = hidden_nSD[packed.episode_N, packed.positions_S[packed.source_N]]
    return head_logps(model, hidden_ND, packed.target_N, 1.0, -(-packed.tokens // CHUNK))


def seconds(logps: Callable[[], Tensor]) -> float:
    """Wall time of a forward and a backward."""
    started = time.perf_counter()
    torch.autograd.backward(logps().sum())
    return time.perf_counter() - started


def measure(module: nn.Module, packed: PackedGroup, repeats: int) -> tuple[list[float], list[float]]:
    """(packed, repeated) seconds, alternating, after one discarded round."""
    ours, theirs = [], []
    for _ in range(repeats + 1):
        ours.append(seconds(lambda: completion_logps(module, packed, 1.0, CHUNK)))
        theirs.append(seconds(lambda: repeated_logps(module, packed)))
    return ours[1:], theirs[1:]


def main() -> None:
    """Parse the flags, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model(parser)
    parser.add_argument("--prompt", type=flag_count, default=350, help="prompt tokens")
    parser.add_argument("--completions", type=flag_count, default=8, help="completions per group")
    parser.add_argument("--tokens", type=flag_count, nargs="+", default=[32, 64, 96], help="tokens per completion")
    parser.add_argument("--turns", type=flag_count, default=4, help="turns of the longest episode in the last row")
    parser.add_argument("--observed", type=int, default=64, help="tokens observed between two of its turns")
    parser.add_argument("--repeats", type=flag_count, default=5, help="measured rounds")
    args = parser.parse_args()
    dtype = best_dtype().name
    folder = resolve_model(ModelSpec(source=args.model, dtype=dtype))
    policy = load_policy(folder, LearnerSpec(gradient_checkpointing=False), "cpu", seed=0, dtype=getattr(torch, dtype))
    vocabulary = policy.config.get_text_config().vocab_size
    table = Table("sampled each", title=f"One group of {args.completions}, prompt of {args.prompt} tokens, {dtype}")
    for column in ("packed s", "repeated s", "ratio"):
        table.add_column(column, justify="right")
    groups = {str(tokens): group(vocabulary, args.prompt, args.completions, tokens) for tokens in args.tokens}
    turns, shortest = range(1, args.turns + 1), args.tokens[0]
    groups[f"{shortest} in each of 1 to {args.turns} turns, {args.observed} observed between"] = group(
        vocabulary, args.prompt, args.completions, shortest, turns, args.observed
    )
    for name, packed in groups.items():
        ours, theirs = measure(policy.module, packed, args.repeats)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        table.add_row(name, f"{statistics.median(ours):.2f}", f"{statistics.median(theirs):.2f}", f"{ratio:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
