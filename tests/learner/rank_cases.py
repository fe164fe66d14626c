"""Tiny models and groups for the learner tests, and the process that runs one rank of two."""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path
from typing import Any

import torch

from common.config import RunSpec
from common.records import (
    Completion,
    Episode,
    Group,
    Rollout,
    Step,
)
from simulator.rollouts import labelled, rewarded

VOCABULARY = 64


def make_model(folder: Path, initializer_range: float = 0.2) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=initializer_range,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_spec(context: int = 1024, **learner: Any) -> RunSpec:
    """Rows hold `context` + 16 tokens."""
    dtype = learner.pop("dtype", "float32")
    settings = {
        "batch_groups": 4,
        "learning_rate": 1e-2,
        "warmup_steps": 0,
        "lora_rank": 4,
        "logp_chunk": 7,
        "kl_coef": 0.1,
        **learner,
    }
    sampling = {"group_size": 3, "max_tokens": 8}
    return RunSpec.model_validate(
        {"seed": 5, "model": {"dtype": dtype, "context": context}, "sampling": sampling, "learner": settings}
    )


def make_group(seed: int, version: int = 0) -> Group:
    """Three completions of unequal length; rewards and engine log-probs are drawn, not modelled."""
    return _group(seed, version, [1, 1, 1])


def make_group_of_turns(seed: int, version: int = 0) -> Group:
    """Three episodes of one, two and three turns."""
    return _group(seed, version, [1, 2, 3])


def _group(seed: int, version: int, turns: list[int]) -> Group:
    rng = random.Random(seed)
    rollouts = []
    for count in turns:
        steps = tuple(_step(rng, version) for _ in range(count))
        outcome = rng.choice([-1.5, -1.0, 0.4, 1.0])
        reward = rewarded(outcome + 0.1, outcome=outcome, structure=0.1)
        episode = Episode(task_id=f"task-{seed}", actions=("",) * count)
        rollouts.append(Rollout(steps=steps, episode=episode, reward=reward))
    return Group(
        labelled=labelled(f"task-{seed}"),
        prompt_ids=tuple(rng.randrange(VOCABULARY) for _ in range(rng.randrange(4, 9))),
        rollouts=tuple(rollouts),
        doctor="d0",
    )


def _step(rng: random.Random, version: int) -> Step:
    length = rng.randrange(2, 9)
    completion = Completion(
        text="",
        token_ids=tuple(rng.randrange(VOCABULARY) for _ in range(length)),
        logps=tuple(-4.2 + rng.uniform(-0.3, 0.3) for _ in range(length)),
        versions=(version,) * length,
        finish_reason="stop",
        engine="e0",
    )
    return Step(completion=completion, observed=[rng.randrange(VOCABULARY) for _ in range(rng.randrange(15, 25))])


def weights_of(rank: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in rank.published_weights()}


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def run_rank(rank: int, world: int, rendezvous: str, model: Path, out: Path, stages: tuple[int, ...]) -> None:
    """Two steps at every ZeRO stage, some of their rows a part of a group.

    A checkpoint is written between them, from which a second learner takes the second step.
    """
    from learner.rank import LearnerRank

    results: dict[str, Any] = {}
    for stage in stages:
        spec = make_spec(context=64, zero_stage=stage, ranks=world)
        batches = [
            [make(step * 10 + at) for at, make in enumerate([make_group, make_group, make_group_of_turns, make_group])]
            for step in range(2)
        ]
        mine = [batch[rank::world] for batch in batches]
        learner = LearnerRank(spec, model, rank, world, rendezvous)
        reports = [learner.step(mine[0])]
        folder = out / f"checkpoint-{stage}"
        folder.mkdir(exist_ok=True)
        learner.save(folder)
        reports.append(learner.step(mine[1]))
        resumed = LearnerRank(spec, model, rank, world, rendezvous)
        resumed.load(folder)
        resumed.step(mine[1])
        learner.save_model(out / f"model-{stage}")
        results[f"{stage}"] = {
            "weights": weights_of(learner),
            "resumed": weights_of(resumed),
            "canary": learner.canary(range(10)),
            "reports": [(report.grad_norm, report.loss, report.reward_mean) for report in reports],
        }
    torch.save(results, out / f"rank-{rank}.pt")


if __name__ == "__main__":
    rank, world, rendezvous, model, out, *stages = sys.argv[1:]
    run_rank(int(rank), int(world), rendezvous, Path(model), Path(out), tuple(map(int, stages)))
