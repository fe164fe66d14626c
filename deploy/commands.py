"""The commands: summary and examples of each, and its arguments from command_options.py. Imports nothing heavy, so that
`--help` and a mistyped flag are answered at once; the module of a command is imported only to run it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from common.command_line import Parser
from common.flags import flag_path
from deploy import command_options

Examples = tuple[tuple[str, str], ...]
SPEC_USAGE = "%(prog)s SPEC [options] [--FIELD VALUE ...]"
FIELDS = """
SPEC is a YAML file or the name of one in deploy/specs. Every setting in it is a flag (--section.field)
and an environment variable (MEDSERL_SECTION__FIELD): the file < variables < flags."""


class Command(NamedTuple):
    """One command. `module.run(parsed arguments)` returns the exit code."""

    module: str
    summary: str
    examples: Examples = ()
    details: str = ""
    reads_spec: bool = False
    parser_of: str = ""  # the module whose `parser(program)` is used instead of the fields below


COMMANDS: dict[str, Command] = {
    "selfplay": Command(
        module="deploy.selfplay",
        summary="Train a model by asynchronous self-play, as a spec describes it.",
        examples=(
            ("laptop", "the CPU default, on the bundled data"),
            ("laptop --data notes.csv --steps 4", ""),
            ("laptop --dry-run", "print the resolved plan, start nothing"),
            ("runs/laptop/spec.yaml --resume", "continue from the last checkpoint"),
        ),
        details=FIELDS,
        reads_spec=True,
    ),
    "plan": Command(
        module="deploy.plan",
        summary="Show where the actors of a run would go and how much memory they need; start nothing.",
        examples=(
            ("rtx4090", ""),
            ("node8 --hardware.gpus 4", "for another machine"),
        ),
        details="A run that does not fit is refused (exit code 2), with the smallest change of the spec that fits."
        + FIELDS,
        reads_spec=True,
    ),
    "status": Command(
        module="deploy.status",
        summary="Show how a run is doing: progress, throughput, lag, and what waits for what.",
        examples=(("runs/laptop", ""), ("runs/laptop --watch", "refresh until Ctrl-C"), ("runs/laptop --json", "")),
    ),
    "apply": Command(
        module="deploy.apply",
        summary="Change the number of actors of a running job, without stopping it.",
        examples=(
            ("node8", "apply what you edited in the spec"),
            ("laptop --rollout.doctors 3", "the same without editing the file"),
            ("laptop --name laptop-2", "choose one of several running runs of the spec"),
            ("laptop --dry-run", "show what would change"),
        ),
        details="""
Edit the spec that the job was started from, then apply it. These can change while the run continues:
  rollout.scribes, rollout.doctors     new ones start at once; surplus ones finish their tasks first
  engines of each of the pools         a new one loads, proves its weights, then serves; a surplus one drains first
Anything else is refused, with what to do instead. Flags and variables set at the start stay as they are, unless you
edit the field in the file or give it as a flag here. The run's spec.yaml follows, so that --resume continues with the
new numbers; changes.jsonl in the run's folder records what changed, when, and at which policy_version.
"""
        + FIELDS,
        reads_spec=True,
    ),
    "stop": Command(
        module="deploy.stop",
        summary="Stop a running job after its current step, with a checkpoint, and wait until it has ended.",
        examples=(("runs/laptop", ""), ("runs/laptop --json", "")),
    ),
    "runs": Command(
        module="deploy.runs",
        summary="List the runs in a folder: state, steps, best held-out score, last change and size.",
        examples=(("", "the runs in runs/"), ("/shared/runs --json", ""), ("compare laptop laptop-2", "compare two")),
    ),
    "view": Command(
        module="deploy.view",
        summary="Make the picture and the page of a run, at any time: while it runs, or after it was killed.",
        examples=(
            ("runs/laptop", "writes progress.png and episodes.html into it"),
            ("runs/laptop --live", "a page in the browser that refreshes while the run goes on"),
        ),
    ),
    "runs compare": Command(
        module="deploy.compare",
        summary="Compare two runs: a table of their figures and settings, and a picture of their curves.",
        examples=(("laptop laptop-2", ""), ("runs/a /shared/runs/b --out a-b.png", "")),
    ),
    "ask": Command(
        module="deploy.ask",
        summary="Let the trained model of a run play one task, or reply to a text. Research, not for clinical use.",
        examples=(
            ("runs/lookup", "one episode: turns, calls, what the tools answer, the end and the score"),
            ("runs/lookup --task 3", "another held-out task"),
            ("runs/laptop --text note.txt", "a text of yours, where the game reads texts"),
            ("runs/laptop --text -", "read it from standard input"),
            ("my-doctor --text notes/ --json", "an exported model, a folder of texts"),
            ("runs/laptop --text note.txt --base", "beside the model before training"),
        ),
        details="""
The model gives its most likely reply in each turn. A game that holds no task back plays one that it trains on. The
score is shown where the task has a label.
""",
    ),
    "export": Command(
        module="deploy.export",
        summary="Write a finished run's model into a new folder, with a model card, and verify it.",
        examples=(
            ("runs/laptop my-doctor", ""),
            ("runs/laptop my-adapter --adapter", "the LoRA adapter alone"),
            ("runs/laptop my-doctor --push me/my-doctor", "and upload it; `hf auth login` comes first"),
        ),
        details="""
For llama.cpp and Ollama, a script of llama.cpp (github.com/ggml-org/llama.cpp) makes a GGUF file of the merged model:
  python convert_hf_to_gguf.py my-doctor --outfile my-doctor.gguf --outtype q8_0
""",
    ),
    "eval": Command(
        module="evals.run",
        summary="Score a model, a submission or the baselines on a benchmark.",
        parser_of="evals.arguments",
    ),
    "data": Command(
        module="envs.verdict.notes_check",
        summary="Check a file of your notes row by row, and show tasks made of it.",
        examples=(
            ("check notes.csv", ""),
            ("check notes/ --phrases errors.jsonl", "with the errors of another file put into them"),
            ("check notes.csv --json", ""),
        ),
        details="""
For the game of clinical notes. FILE is a CSV (columns id and text, or MEDEC's), a .jsonl, a folder of .txt files, or a
folder that save_to_disk of Hugging Face's datasets wrote. docs/your-notes.md has an example of each.

Exit codes: 0 a run can use the file, 2 it cannot.
""",
    ),
    "kuberay": Command(
        module="deploy.kuberay",
        summary="Print the Kubernetes manifests (KubeRay) of a run.",
        examples=(("node8 --hardware.nodes 2", ""), ("node8 | kubectl apply -f -", "")),
        details=FIELDS,
        reads_spec=True,
    ),
    "check-env": Command(
        module="envs.conformance.command",
        summary="Check that environments keep the contract: generator, checker, reward and leaks.",
        parser_of="envs.conformance.command",
    ),
    "parity": Command(
        module="evals.parity",
        summary="Check what public systems do and ours must show, each row with a negative control.",
        parser_of="evals.parity",
    ),
    "completion": Command(
        module="deploy.completion",
        summary="Print the script that completes these commands in a shell.",
        examples=(
            ("bash >> ~/.bash_completion", ""),
            ("zsh > ~/.zfunc/_medserl", "with ~/.zfunc in fpath, before compinit"),
            ("fish > ~/.config/fish/completions/medserl.fish", ""),
        ),
    ),
}


def parser(name: str, program: str) -> Parser:
    """The parser of a command, called `program`. Fields of the spec are not in it, nor the `--help` of a command that
    reads one: deploy/cli.py adds them."""
    command = COMMANDS[name]
    if command.parser_of:
        made: Parser = importlib.import_module(command.parser_of).parser(program)
        return made
    said = f"{command.summary}\n{command.details}".strip()
    made = Parser(name, program, said, command.examples, add_help=not command.reads_spec)
    if command.reads_spec:
        made.usage = SPEC_USAGE
        made.add_argument("spec", type=flag_path, metavar="SPEC", help="a YAML file, or a name in deploy/specs: laptop")
    command_options.add_to(made, name)
    return made


def parse(name: str, program: str, arguments: Sequence[str] | None) -> Any:
    """What a command's `run` takes. Exits with code 2 and one line for a mistake, with 0 after `--help`."""
    if name == "eval":
        from evals import arguments as evaluation

        return evaluation.parse(arguments, program)
    if COMMANDS[name].reads_spec:
        from deploy import cli

        return cli.parse(arguments, parser(name, program))
    return parser(name, program).parse_args(arguments)
