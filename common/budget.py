"""The memory of a run's processes, item by item, each with its derivation. Arithmetic only: nothing starts.

b is the width of `model.dtype` in bytes. A learner rank packs one group at a time: S = P + n * L positions with the
longest prompt P, n completions of L tokens each; so the figures are those of the longest group that the spec allows.
"""

from __future__ import annotations

from collections.abc import Iterable

from common.architecture import Architecture
from common.config import PoolSpec, RunSpec
from common.records import Record

GIB = 2**30
BATCHED_TOKENS = 2048  # vLLM's default of max_num_batched_tokens for an AsyncLLM
CANARY_ROWS = 256  # most positions whose log-probs `prove` asks for at once (learner/bounds.py)
CONTEXT_BYTES = int(0.6 * GIB)  # CUDA context and libraries of a process, on its GPU (assumed)
PROCESS_BYTES = GIB // 2
"""Interpreter and libraries of a process on a CPU, excluding its tensors: .43 GiB measured (`bench.budget`)."""
ENGINE_PROCESSES = 2  # the actor and vLLM's core
GRAPH_BYTES = GIB // 2  # vLLM's captured CUDA graphs (assumed)


class Item(Record):
    """One figure. Items of no phase are always there; of the phases only the largest counts."""

    what: str
    size: int  # bytes
    how: str
    phases: tuple[str, ...] = ()
    stepped: bool = False  # not there before the first optimizer step; a resumed learner has it from its start


def peak(items: Iterable[Item]) -> int:
    """Bytes at the worst moment."""
    items = tuple(items)
    phases = {phase for item in items for phase in item.phases} or {""}
    return max(sum(item.size for item in items if not item.phases or phase in item.phases) for phase in phases)


def held(items: Iterable[Item], stepped: bool) -> int:
    """Bytes between two phases, before the first optimizer step or after one."""
    return sum(item.size for item in items if not item.phases and (stepped or not item.stepped))


def width(spec: RunSpec) -> int:
    """b, bytes."""
    return 2 if spec.model.concrete_dtype == "bfloat16" else 4


def engine_items(spec: RunSpec, pool: PoolSpec, arch: Architecture) -> tuple[Item, ...]:
    """One GPU of an engine; all of it on a CPU."""
    b, shards = width(spec), pool.tensor_parallel
    rows = max(pool.max_num_seqs, CANARY_ROWS)
    token = 3 * arch.intermediate + 3 * arch.hidden + (2 * arch.heads + 2 * arch.kv_heads) * arch.head_dim
    text = f"{_millions(arch.text_parameters)} text parameters x {b} B{_over(shards)}; a vision tower is skipped"
    items = [
        _process(spec, ENGINE_PROCESSES),
        Item(what="weights", size=b * arch.text_parameters // shards, how=text),
        Item(what="KV cache", size=int(pool.kv_cache_gib * GIB), how="pools.kv_cache_gib"),
        Item(
            what="one engine step",
            size=BATCHED_TOKENS * token * b // shards,
            how=f"{BATCHED_TOKENS} batched tokens x (3I + 3D + 2(H + K)h) x {b} B",
            phases=("step",),
        ),
        Item(
            what="logits",
            size=rows * arch.vocabulary * (b + 12),
            how=f"{rows} rows (sequences, or the canary) x V {arch.vocabulary} x ({b} + 3 float32) B",
            phases=("logits",),
        ),
    ]
    if spec.transport == "adapter" and not pool.frozen:
        slots, lora = spec.buffer.max_lag + 2, arch.lora_parameters(spec.learner.lora_rank)
        how = f"(max_lag + 2) = {slots} adapters x {_millions(lora)} x {b} B{_over(shards)}"
        items.append(Item(what="LoRA slots", size=slots * lora * b // shards, how=how))
    if not pool.frozen:
        items.extend(_bucket(spec, arch))
    if spec.backend == "cuda":
        items.append(Item(what="CUDA graphs", size=GRAPH_BYTES, how="assumed"))
    return tuple(items)


def engine_request(spec: RunSpec, pool: PoolSpec, arch: Architecture) -> int:
    """Bytes of one GPU that must be free when an engine's worker starts, apart from its CUDA context.

    vLLM checks `gpu_memory_utilization` before it looks at `kv_cache_memory_bytes` (`request_memory` of its
    v1/worker/utils.py); actors/engine_arguments.py sets it to this, the plan compares this with what is free.
    """
    items = engine_items(spec, pool, arch)
    return peak(items) - (CONTEXT_BYTES if spec.backend == "cuda" else 0)


def learner_items(spec: RunSpec, arch: Architecture) -> tuple[Item, ...]:
    """One learner rank."""
    return (
        _process(spec),
        *_held(spec, arch),
        *_optimizer(spec, arch),
        *_activations(spec, arch),
        *_bucket(spec, arch),
    )


def longest_row(spec: RunSpec) -> tuple[int, int]:
    """(P, S): the longest prompt and the longest packed row, tokens."""
    prompt = spec.model.context - spec.sampling.max_tokens
    group = prompt + spec.sampling.group_size * spec.sampling.max_tokens
    return prompt, max(group, spec.learner.row_tokens)


class Demand(Record):
    """Sequences that rollouts have on a pool's engines at once, and the KV cache that these fill."""

    sequences: int
    size: int  # bytes, over all engines of the pool


def demand(spec: RunSpec, pool: PoolSpec, arch: Architecture, concurrency: int) -> Demand:
    """Of all role actors, each working on `concurrency` tasks.

    A group's completions share their prompt's cache; episodes of several turns share next to nothing. A Scribe has one
    sequence a task, and so has the verifier, which judges what Scribes write.
    """
    b, n = width(spec), spec.sampling.group_size
    one = arch.kv_bytes(spec.model.context, b, BATCHED_TOKENS)
    prompt = spec.model.context - spec.sampling.max_tokens
    shared = (prompt + n * spec.sampling.max_tokens) * arch.token_bytes(b)
    group = n * one if any(env.several_turns for env in spec.envs) else min(n * one, shared)
    doctors = spec.rollout.doctors * concurrency if "doctor" in pool.serves else 0
    others = spec.rollout.scribes * concurrency * sum(role != "doctor" for role in pool.serves)
    return Demand(sequences=doctors * n + others, size=doctors * group + others * one)


def cache(pool: PoolSpec) -> int:
    """Bytes of KV cache over all engines of a pool."""
    return int(pool.kv_cache_gib * GIB) * pool.tensor_parallel * pool.engines


def most_concurrency(spec: RunSpec, pool: PoolSpec, arch: Architecture) -> int:
    """The largest rollout.concurrency whose sequences the pool's KV cache holds; 0 when it holds not even one each."""
    return cache(pool) // demand(spec, pool, arch, 1).size


def trained_parameters(spec: RunSpec, arch: Architecture) -> int:
    """Number of trained parameters."""
    rank = spec.learner.lora_rank
    return arch.lora_parameters(rank) if rank else arch.text_parameters


def reduce_bucket(trained: int) -> int:
    """How many numbers DeepSpeed reduces at once: all of them, but no more than its default, 500 million."""
    return min(500_000_000, trained)


def _bucket(spec: RunSpec, arch: Architecture) -> Iterable[Item]:
    """At either end of a broadcast: the largest tensor, which travels whole (learner/buckets.py)."""
    if spec.transport == "broadcast":
        b = width(spec)
        how = f"the largest tensor, V {arch.vocabulary} x D {arch.hidden} x {b} B"
        yield Item(what="broadcast bucket", size=arch.vocabulary * arch.hidden * b, how=how, phases=("sync",))


def _process(spec: RunSpec, processes: int = 1) -> Item:
    """Memory of an actor's processes besides tensors; only one of them is on a GPU."""
    if spec.backend == "cuda":
        return Item(what="process", size=CONTEXT_BYTES, how="CUDA context and libraries, assumed")
    how = f"{processes} x {PROCESS_BYTES / GIB:g} GiB of interpreter and libraries (.43 measured)"
    return Item(what="process", size=processes * PROCESS_BYTES, how=how)


def _held(spec: RunSpec, arch: Architecture) -> Iterable[Item]:
    b, learner = width(spec), spec.learner
    split = learner.ranks if learner.zero_stage == 3 else 1
    whole = arch.text_parameters + arch.vision_parameters
    parts = f"{_millions(arch.text_parameters)} text" + (
        f" + {_millions(arch.vision_parameters)} vision" if arch.vision else ""
    )
    yield Item(what="weights", size=b * whole // split, how=f"({parts} parameters) x {b} B{_over(split)}")
    if learner.has_whole_frozen_weights and spec.backend == "cpu":
        how = f"what is frozen, laid out for both directions (learner/frozen_linear.py): 2 x {parts} x {b} B"
        yield Item(what="packed weights", size=2 * b * arch.text_parameters, how=how)
    if learner.lora_rank:
        lora = arch.lora_parameters(learner.lora_rank)
        how = f"rank {learner.lora_rank} on every linear map: {_millions(lora)} x {b} B{_over(split)}"
        yield Item(what="LoRA", size=b * lora // split, how=how)
    else:
        yield Item(what="reference", size=b * whole, how=f"full training keeps an untouched copy: x {b} B")


def _optimizer(spec: RunSpec, arch: Architecture) -> Iterable[Item]:
    """What training adds on the card. Offloaded, only gradients on their way to the machine's memory are left."""
    b, learner = width(spec), spec.learner
    trained, stage = trained_parameters(spec, arch), learner.zero_stage
    split = learner.ranks if stage else 1
    owner = f"{_millions(trained)} trained"
    if learner.offload_optimizer:
        how = f"{owner} x {b} B, until they are in the machine's memory{_over(split)}"
        yield Item(what="gradients", size=b * trained // split, how=how, phases=("layer", "head"))
    else:
        gradients = learner.ranks if stage >= 2 else 1
        how = f"{owner} x 4 B, added up in float32{_over(gradients)}"
        yield Item(what="gradients", size=4 * trained // gradients, how=how, stepped=True)
        if b == 2 or stage:
            how = f"{owner} x 4 B, float32{_over(split)}, ZeRO-{stage}"
            yield Item(what="masters", size=4 * trained // split, how=how)
        how = f"{owner} x 8 B, two moments{_over(split)}, ZeRO-{stage}"
        yield Item(what="AdamW", size=8 * trained // split, how=how, stepped=True)
        how = f"{owner} x (4 gradients in one piece + 4 AdamW's scratch) B{_over(split)}"
        yield Item(what="optimizer step", size=8 * trained // split, how=how, phases=("step",))
    if stage and spec.backend == "cuda":
        bucket = reduce_bucket(trained)
        how = f"DeepSpeed's two reduce buckets of {_millions(bucket)} x {b} B"
        yield Item(what="reduce buckets", size=2 * bucket * b, how=how, phases=("layer", "head"))


def offloaded(spec: RunSpec, arch: Architecture) -> int:
    """Bytes of one rank in its machine's memory: float32 gradients, masters and moments."""
    if not spec.learner.offload_optimizer:
        return 0
    return 16 * trained_parameters(spec, arch) // spec.learner.ranks


def _activations(spec: RunSpec, arch: Architecture) -> Iterable[Item]:
    b, learner = width(spec), spec.learner
    _, row = longest_row(spec)
    layer = layer_bytes(spec, arch)
    training = ("layer", "head")
    yield _masks(spec, arch, row)
    if learner.gradient_checkpointing:
        how = f"S {row} x D {arch.hidden} x {b} B at the input of each of {arch.layers} layers"
        yield Item(what="layer inputs", size=row * arch.hidden * b * arch.layers, how=how, phases=training)
        how = f"what the backward pass of a layer keeps, S {row}, and its gradients"
        yield Item(what="one layer again", size=2 * layer, how=how, phases=("layer",))
    else:
        how = f"{arch.layers} layers x what the backward pass of each keeps, S {row}"
        yield Item(what="activations", size=arch.layers * layer, how=how, phases=training)
        yield Item(what="one layer's gradients", size=layer, how="as large as the layer's", phases=("layer",))
    rows = min(learner.logp_chunk, spec.sampling.group_size * spec.sampling.max_tokens)
    how = f"logp_chunk {rows} x V {arch.vocabulary} x (4 + {b}) B (logits, then their gradient)"
    yield Item(what="logits chunk", size=rows * arch.vocabulary * (4 + b), how=how, phases=("head",))
    if not learner.lora_rank:
        how = f"gradient of the head from one chunk, V x D x {b} B"
        yield Item(what="head gradient", size=arch.embedding * b, how=how, phases=("head",))


def _masks(spec: RunSpec, arch: Architecture, row: int) -> Item:
    """What the positions of a row see, for each kind of layer, once for all layers and heads that share a key head.

    A prompt's longest branch of L tokens sees T: L x T, at most T^2. Several prompts of n branches in a row have
    together at most S / n tokens in their longest branches.
    """
    context, group = spec.model.context, arch.heads // arch.kv_heads
    windows = 2 if arch.window and arch.window < context else 1
    seeing = max(context, row // spec.sampling.group_size)
    b = width(spec)
    how = f"{seeing} positions that see {context} x {group} heads a key head x {windows} kinds of layers x {b} B"
    size = seeing * context * group * windows * b
    return Item(what="attention masks", size=size, how=how, phases=("layer", "head"))


def layer_bytes(spec: RunSpec, arch: Architecture) -> int:
    """Memory that autograd saves in one decoder layer for the longest row.

    A position: the norms' float32 inputs, the inputs of the linear maps, the gate, its activation and the up map, and
    queries and outputs of the attention. Keys and values are laid out once for the prompt, repeated to all query heads,
    and once, behind the prompt's and as they are, for every completion (learner/attention.py).
    """
    b = width(spec)
    prompt, row = longest_row(spec)
    d, heads = arch.hidden, arch.heads * arch.head_dim
    norms = 4 * ((4 * d + (arch.heads + arch.kv_heads) * arch.head_dim) if arch.gemma else 2 * d)
    position = norms + b * (2 * d + 4 * arch.intermediate + 3 * heads)
    keys = prompt * heads + spec.sampling.group_size * spec.model.context * arch.kv_heads * arch.head_dim
    return row * position + 2 * keys * b


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f}M"


def _over(split: int) -> str:
    return f" / {split}" if split > 1 else ""
