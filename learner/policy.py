"""The policy's weights: load, LoRA, log-probs of completion tokens, and the tensors that engines receive.

Shapes: S packed positions, N completion tokens, T tokens of one sequence, D hidden size.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor, nn

from common.config import LearnerSpec
from learner import attention
from learner.batch import Row
from learner.frozen_linear import can_pack, pack_linear
from learner.head import head_logps
from learner.rounding import to_bfloat16

if TYPE_CHECKING:
    from peft import PeftModel

Gather = Callable[[list[nn.Parameter]], AbstractContextManager[Any]]
"""Context manager that gathers partitioned parameters; under ZeRO-3 `deepspeed.zero.GatheredParameters`."""


SCRIBE = "scribe"
"""The name of a trained Scribe's adapter; the Doctor's is `default`, peft's default name."""

_NO_MASK = torch.zeros(1, 1, 1, 1)
"""transformers passes a 4D mask on unchanged, so it builds none; packed attention ignores it."""


@dataclass(frozen=True)
class Policy:
    """A trainable model and its reference. Two policies may share a module, each with its own adapter."""

    module: nn.Module  # the Hugging Face model, inside a PeftModel when lora_rank > 0
    frozen: nn.Module | None  # full training only: a frozen copy (as large as the model)
    adapter: str = "default"  # LoRA only

    @property
    def config(self) -> Any:
        """The Hugging Face config."""
        return base_model(self.module).config


class LogpModel(nn.Module):
    """`completion_logps` as a module's forward, which DeepSpeed wraps, so that its hooks see the whole forward pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, row: Row, temperature: float, chunk: int, parts: int = 1) -> Tensor:
        """Log-probs of the completion tokens, float32 [N]."""
        return completion_logps(self.model, row, temperature, chunk, parts)


def whole(_parameters: list[nn.Parameter]) -> AbstractContextManager[Any]:
    """The `Gather` of unpartitioned parameters: it does nothing."""
    return nullcontext()


def load_policy(
    folder: Path,
    learner: LearnerSpec,
    device: str,
    seed: int,
    dtype: torch.dtype = torch.float32,
    another: str | None = None,
) -> Policy:
    """Load a Hugging Face folder for training; `seed` draws the LoRA matrices. `another` names a second adapter.

    Every weight has `dtype`, LoRA's too: DeepSpeed keeps float32 masters of what it trains. The model is in training
    mode (gradient checkpointing asks for it) and must be free of dropout, or log-probs would not repeat. Raises
    ValueError when the folder holds no model that transformers can load for causal language modelling.
    """
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, attn_implementation=attention.register(), use_safetensors=True
        )
    except OSError as error:
        raise ValueError(f"model folder {folder}: {str(error).splitlines()[0]}") from error
    model = model.to(device)
    model.config.use_cache = False
    frozen = None
    if learner.lora_rank == 0:
        frozen = copy.deepcopy(model).eval().requires_grad_(False)
        _freeze_outside_decoder(model)
    module = _with_lora(model, learner, seed, another) if learner.lora_rank else model
    if learner.has_whole_frozen_weights and can_pack(model.get_output_embeddings().weight):
        _pack(model)
    if learner.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return Policy(module=module.train(), frozen=frozen)


def activate(policy: Policy) -> None:
    """Make this policy's adapter the active and only trainable one of a shared module."""
    if _has_lora(policy.module) and len(policy.module.peft_config) > 1:
        policy.module.set_adapter(policy.adapter)


def base_model(module: nn.Module) -> Any:
    """The Hugging Face model inside a PeftModel, or the module itself."""
    return module.get_base_model() if _has_lora(module) else module


def _has_lora(module: nn.Module) -> TypeGuard[PeftModel]:
    from peft import PeftModel

    return isinstance(module, PeftModel)


def completion_logps(module: nn.Module, row: Row, temperature: float, chunk: int, parts: int = 1) -> Tensor:
    """Log-probs of the row's predicted tokens, float32 [N], under softmax(logits / temperature).

    One pass of the decoder over the packed row; then the head, at most `chunk` tokens at a time. The tokens are cut
    into `parts` or more: under ZeRO-3 every call of the head gathers its weight from all ranks, so all ranks must make
    equally many, whatever their N.
    """
    model = base_model(module)
    hidden_SD = row_states(model, row)
    return head_logps(model, hidden_SD[row.source_N], row.target_N, temperature, max(parts, -(-row.tokens // chunk)))


def row_states(model: Any, row: Row) -> Tensor:
    """The decoder's last hidden states of a packed row, [S, D]; `model` is the Hugging Face model itself."""
    decoder = model.get_decoder()
    # Any other attention would ignore the packing, so branches would attend to each other.
    assert decoder.config._attn_implementation == attention.NAME, decoder.config._attn_implementation
    hidden_SD: Tensor = decoder(
        input_ids=row.ids_S[None],
        position_ids=row.positions_S[None],
        attention_mask=_NO_MASK,
        packing=attention.packing_of(row, model.config, model.dtype),
        use_cache=False,
    ).last_hidden_state[0]
    return hidden_SD


def sequence_logps(module: nn.Module, ids: Sequence[int]) -> list[float]:
    """Log-probs of `ids[1:]`, each given the tokens before it, at temperature 1; no gradient. For the canary."""
    model = base_model(module)
    ids_T = torch.tensor(ids, device=next(model.parameters()).device)
    with torch.no_grad():
        hidden_TD = model.get_decoder()(input_ids=ids_T[None], use_cache=False).last_hidden_state[0]
        logp_T: list[float] = head_logps(model, hidden_TD[:-1], ids_T[1:], 1.0, 1).tolist()
    return logp_T


@contextmanager
def reference(policy: Policy) -> Iterator[nn.Module]:
    """The reference model: the policy's module with its adapters disabled (LoRA), or the frozen copy."""
    if policy.frozen is not None:
        yield policy.frozen
        return
    assert _has_lora(policy.module)
    with policy.module.disable_adapter():
        yield policy.module


def merged_weights(policy: Policy, dtype: torch.dtype, gather: Gather = whole) -> Iterator[tuple[str, Tensor]]:
    """(checkpoint name, tensor of `dtype`) of the language model, for vLLM's `load_weights` or `save_pretrained`.

    LoRA is added in float32 and rounded once, to bfloat16 stochastically (learner/rounding.py); the module itself does
    not change. A frozen vision tower is left out. A tensor may share memory with the module's weight, and under ZeRO-3
    (`gather`) it is whole on every rank only until the iterator advances: copy it at once, and iterate on all ranks.
    """
    from peft.tuners.lora import LoraLayer

    model = base_model(policy.module)
    prefix = _name_of(model, model.get_decoder())
    embedding = model.get_input_embeddings().weight
    for module_name, module in model.named_modules():
        if not module_name.startswith((prefix, "lm_head")) or _inside_lora(module_name):
            continue
        if isinstance(module, LoraLayer):
            yield from _merged(module_name, module, policy.adapter, dtype, gather)
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter is embedding and module_name == "lm_head":
                continue  # tied: the engines' own layers share the embedding (actors/engine_worker.py)
            with gather([parameter]):
                yield f"{module_name}.{name}", parameter.detach().to(dtype)


def adapter_weights(policy: Policy, gather: Gather = whole) -> dict[str, Tensor]:
    """Copies of the LoRA tensors under the names of a peft checkpoint, which vLLM's LoRA loader reads."""
    from peft import get_peft_model_state_dict

    assert _has_lora(policy.module)
    lora = [parameter for name, parameter in policy.module.named_parameters() if "lora_" in name]
    with gather(lora):
        state = get_peft_model_state_dict(policy.module, adapter_name=policy.adapter, save_embedding_layers=False)
        return {name: tensor.detach().clone() for name, tensor in state.items()}


def _with_lora(model: Any, learner: LearnerSpec, seed: int, another: str | None) -> PeftModel:
    """LoRA on every linear layer of the decoder: not on the head, not on a vision tower. The first one is active."""
    from peft import LoraConfig, get_peft_model

    from learner.packed_lora import PackedLora

    config = LoraConfig(
        r=learner.lora_rank,
        lora_alpha=learner.lora_alpha,
        lora_dropout=0.0,
        target_modules=linear_layers(model),
        task_type="CAUSAL_LM",
    )
    config._register_custom_module({nn.Linear: PackedLora})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module: PeftModel = get_peft_model(model, config, autocast_adapter_dtype=False)
        if another is not None:
            torch.manual_seed(seed)
            module.add_adapter(another, copy.deepcopy(config), autocast_adapter_dtype=False)
        return module


def linear_layers(model: Any) -> str:
    """Regular expression of the names of a Hugging Face model's linear layers in its decoder: neither its head nor a
    vision tower, which serves no text."""
    decoder = model.get_decoder()
    linear = sorted({name.rsplit(".", 1)[-1] for name, m in decoder.named_modules() if isinstance(m, nn.Linear)})
    return rf"{re.escape(_name_of(model, decoder))}\..*\.({'|'.join(linear)})"


def _pack(model: Any) -> None:
    """Pack the frozen weights."""
    from learner.packed_lora import PackedLora

    for module in model.get_decoder().modules():
        if isinstance(module, PackedLora):
            module.pack()
    pack_linear(model.get_output_embeddings())


def _freeze_outside_decoder(model: Any) -> None:
    """Full training of a multimodal model freezes its vision tower and projector: no episode has images."""
    model.requires_grad_(False)
    model.get_decoder().requires_grad_(True)
    model.get_output_embeddings().requires_grad_(True)


def _merged(name: str, layer: Any, adapter: str, dtype: torch.dtype, gather: Gather) -> Iterator[tuple[str, Tensor]]:
    base = layer.get_base_layer()
    up, down = layer.lora_B[adapter].weight, layer.lora_A[adapter].weight
    with gather([base.weight, up, down]), torch.no_grad():
        delta = (up.float() @ down.float()) * layer.scaling[adapter]
        merged = base.weight.float() + delta
        yield f"{name}.weight", to_bfloat16(merged) if dtype == torch.bfloat16 else merged.to(dtype)
    if base.bias is not None:
        with gather([base.bias]):
            yield f"{name}.bias", base.bias.detach().to(dtype)


def _inside_lora(module_name: str) -> bool:
    return ".base_layer" in module_name or ".lora_" in module_name


def _name_of(model: nn.Module, wanted: nn.Module) -> str:
    names: Iterator[str] = (name for name, module in model.named_modules() if module is wanted)
    return next(names)
