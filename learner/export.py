"""Writing Hugging Face folders: the small files of a model, the merged policy, the adapter alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from learner.policy import Gather, Policy, base_model

_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".gguf", ".safetensors.index.json", ".bin.index.json")


def copy_small_files(source: Path, target: Path) -> None:
    """Copy tokenizer, chat template and other small files; no weights, and no file that `target` has already."""
    for path in source.iterdir():
        if path.is_file() and not path.name.endswith(_WEIGHT_SUFFIXES) and not (target / path.name).exists():
            shutil.copy2(path, target / path.name)


def all_weights(policy: Policy, published: Iterable[tuple[str, Tensor]], gather: Gather) -> dict[str, Tensor]:
    """Copies on the CPU of the published tensors and of those never published, such as a frozen vision tower."""
    model = base_model(policy.module)
    weights = {name: tensor.cpu().clone() for name, tensor in published}
    for name, parameter in model.named_parameters():
        plain = name.replace(".base_layer.", ".")
        if plain not in weights and ".lora_" not in name:
            with gather([parameter]):
                weights[plain] = parameter.detach().cpu().clone()
    return weights


def save_merged(policy: Policy, weights: Mapping[str, Tensor], model_folder: Path, folder: Path) -> None:
    """Write a folder that `from_pretrained` and vLLM load: config, weights, and the small files of `model_folder`."""
    model = base_model(policy.module)
    model.save_pretrained(folder, state_dict=dict(weights))
    copy_small_files(model_folder, folder)


def save_adapter(policy: Policy, adapter: dict[str, Tensor], folder: Path) -> None:
    """Write a peft adapter folder."""
    folder.mkdir(parents=True, exist_ok=True)
    module: Any = policy.module
    module.peft_config[policy.adapter].save_pretrained(folder)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in adapter.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
