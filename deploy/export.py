"""Export a finished run's model for publication: `medserl export runs/laptop OUT`.

Writes the merged Hugging Face model, or with `--adapter` the LoRA adapter alone, a model card made of the run's own
files, and the spec without folders, by which `medserl ask` asks it. What was written is loaded again and must agree
with the run's model on the log-probs of a fixed text; with `--push` it is then uploaded to the Hugging Face hub.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from common.command_line import BAD_INPUT
from common.config import ModelSpec, RunSpec
from common.errors import os_refusal
from common.files import read_object, write_whole
from common.models import COMPLETE, TINY
from deploy import cli, commands, program
from deploy.hub import push
from deploy.report import model_card

CHECK_TEXT = "The patient has had fever and a productive cough for three days. Amoxicillin was started."
OURS = ("adapter", "warm_up.json", COMPLETE)  # in the run's model folder, useless elsewhere
SPEC = "medserl.yaml"
TOLERANCE = {"merged": 0.0, "adapter": 0.1}
"""Nats per token. An adapter's sums are rounded in another order than those of merged weights."""

GGUF = "for llama.cpp and Ollama: python convert_hf_to_gguf.py {out} --outfile {file} --outtype q8_0"
"""What makes one file of a merged model; the script is in the repository of llama.cpp (ggml-org/llama.cpp)."""


def finished_run(folder: Path) -> RunSpec:
    """The spec of a run that left a model. Raises ValueError for a folder that holds none."""
    spec = cli.load_run(folder)
    if not (folder / "model" / "config.json").is_file():
        resume = program.typed("selfplay", folder / "spec.yaml", "--resume")
        raise ValueError(f"{folder} has no model yet: continue it with {resume}")
    return spec


def export(run: Path, out: Path, adapter: bool) -> str:
    """Write `out`, verify it, and return one line about it. Raises ValueError for what cannot be exported."""
    spec = finished_run(run)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} exists and is not empty: write to another folder")
    if adapter:
        _copy_adapter(spec, run, out)
    else:
        shutil.copytree(run / "model", out, ignore=shutil.ignore_patterns(*OURS), dirs_exist_ok=True)
    write_whole(out / "README.md", model_card.write(spec, run, adapter).encode())
    write_whole(out / SPEC, yaml.safe_dump(model_card.public(spec), sort_keys=False).encode())
    gap = proof(run, out, spec.model if adapter else None)
    if gap > TOLERANCE["adapter" if adapter else "merged"]:
        raise ValueError(
            f"{out}: do not use it; loaded again it differs from the run's model by {gap:.3f} nats per token"
        )
    return f"{out}: loaded again, it differs from the run's model by {gap:.4f} nats per token"


def _copy_adapter(spec: RunSpec, run: Path, out: Path) -> None:
    if not spec.learner.lora_rank:
        raise ValueError(f"{run} trained every weight (learner.lora_rank 0), so it has no adapter: leave --adapter out")
    if spec.warm_up.steps or spec.model.source == TINY:
        kind, or_else = ("warmed-up", ", or train with warm_up.steps 0") if spec.warm_up.steps else ("tiny", "")
        raise ValueError(
            f"{run}: its adapter sits on the {kind} model, which is published nowhere: export the merged model{or_else}"
        )
    shutil.copytree(run / "model" / "adapter", out, dirs_exist_ok=True)
    file = out / "adapter_config.json"
    base = {"base_model_name_or_path": model_card.base_model(spec)}
    file.write_bytes(msgspec.json.format(msgspec.json.encode(read_object(file) | base)))


def proof(run: Path, out: Path, base: ModelSpec | None) -> float:
    """Mean |log-prob difference| of the export and the run's model over `CHECK_TEXT`, nats; `base` is an adapter's."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from common.models import resolve_model
    from learner.policy import sequence_logps

    theirs = AutoModelForCausalLM.from_pretrained(run / "model").eval()
    if base is None:
        ours = AutoModelForCausalLM.from_pretrained(out).eval()
    else:
        from peft import PeftModel

        whole = AutoModelForCausalLM.from_pretrained(resolve_model(base), dtype=theirs.dtype)
        ours = PeftModel.from_pretrained(whole, out).eval()
    ids = AutoTokenizer.from_pretrained(run / "model" if base else out).encode(CHECK_TEXT)
    pairs = zip(sequence_logps(ours, ids), sequence_logps(theirs, ids), strict=True)
    return sum(abs(a - b) for a, b in pairs) / (len(ids) - 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m deploy.export`."""
    return run(commands.parse("export", "python -m deploy.export", arguments))


def run(args: Namespace) -> int:
    """Export as the flags say. Returns 0, or 2 after one line on standard error."""
    try:
        if args.public and not args.push:
            raise ValueError("--public goes with --push OWNER/NAME")
        print(export(args.run, args.out, args.adapter))
        if not args.adapter:
            out, file = (shlex.quote(f"{args.out}{ending}") for ending in ("", ".gguf"))
            print(GGUF.format(out=out, file=file))
        if args.push:
            print(push(args.out, args.push, args.public))
    except (ValueError, OSError) as error:
        print(f"export: {error if isinstance(error, ValueError) else os_refusal(error)}", file=sys.stderr)
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
