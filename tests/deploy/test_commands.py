"""`medserl` and `python -m deploy`: the list of commands, help, mistakes, completion."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.command_line import BAD_INPUT
from deploy import __main__ as dispatcher
from deploy import commands, completion, program
from deploy.commands import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = ("ray", "torch", "transformers", "matplotlib", "pydantic", "yaml", "rich", "numpy")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    """(exit code, standard output, standard error) of a command line."""
    try:
        code: object = dispatcher.main(arguments)
    except SystemExit as ended:
        code = ended.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_without_a_command_all_of_them_are_listed(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = said(capsys, *arguments)
    assert code == 0 and not err
    assert all(f"\n  {name} " in out for name in dispatcher.TOP)


def test_the_version_is_that_of_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "--version")
    assert f'version = "{out.split()[1]}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("staus", "medserl: unknown command staus; did you mean status?"),
        ("--versoin", "medserl: unknown option --versoin; did you mean --version?"),
        ("zzz", "medserl: unknown command zzz (see "),
        ("laptop", "medserl: unknown command laptop; did you mean python -m deploy selfplay laptop? (see "),
    ],
)
def test_a_mistyped_command_is_one_line_with_a_suggestion(
    capsys: pytest.CaptureFixture[str], typed: str, line: str
) -> None:
    code, out, err = said(capsys, typed)
    assert code == BAD_INPUT and err.startswith(line) and err.count("\n") == 1 and not out


@pytest.mark.parametrize("words", [("completion", "bash"), ("selfplay", "--help")])
def test_a_reader_that_has_read_enough_ends_the_command_without_a_traceback(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "deploy", *words]
    ended = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = said(capsys, *name.split(), "--help")
    called = f"{program.program()} {name}"
    assert code == 0 and out.startswith(f"usage: {called} ")
    assert out.partition("examples:\n")[2].count(f"\n  {called} ") >= 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistyped_flag_begins_with_the_commands_own_name(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, _, err = said(capsys, *name.split(), "--hepl")
    assert code == BAD_INPUT and err.startswith(f"{name}: unknown option --hepl; did you mean --help?")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_a_command_runs_is_there(command: commands.Command) -> None:
    assert importlib.util.find_spec(command.module) is not None


@pytest.mark.parametrize(
    "arguments", [["--help"], ["staus"], ["stop", "--help"], ["status", "--jsn"], ["eval", "--help"]]
)
def test_help_and_mistakes_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom deploy.__main__ import main\ntry:\n  main(sys.argv[1:])\nexcept SystemExit:\n  pass\n"
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules) or None)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("module", ["deploy.selfplay", "deploy.plan", "deploy.stop", "evals.run"])
def test_the_older_form_is_called_by_its_own_name(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(module).main(["--help"])
    assert capsys.readouterr().out.startswith(f"usage: python -m {module} ")


@pytest.mark.parametrize(
    ("script", "called"),
    [
        ("/somewhere/bin/medserl", "/somewhere/bin/medserl stop"),
        (str(ROOT / "deploy" / "__main__.py"), "python -m deploy stop"),
        (str(ROOT / "deploy" / "selfplay.py"), "python -m deploy.stop"),
    ],
)
def test_messages_name_commands_in_the_form_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, script: str, called: str
) -> None:
    monkeypatch.setattr(sys, "argv", [script])
    assert program.command("stop") == called


def test_a_script_on_the_path_goes_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "medserl"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program.command("stop") == "medserl stop"


def completed(*words: str) -> list[str]:
    """What bash offers for the last word of a command line."""
    line = " ".join(f"'{word}'" for word in words)
    asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _medserl; echo ${{COMPREPLY[@]}}"
    ended = subprocess.run(["bash", "-c", completion.bash() + asked], capture_output=True, text=True, check=True)
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("medserl", "stat"), ["status"]),
        (("medserl", "plan", "lap"), ["laptop"]),
        (("medserl", "plan", "laptop", "--learner.learning"), ["--learner.learning_rate"]),
        (("medserl", "plan", "laptop", "--backend", ""), ["cpu", "cuda"]),
        (("medserl", "eval", "--suite", ""), ["medec", "oversight", "clinic"]),
        (("medserl", "completion", ""), ["bash", "zsh", "fish", "--help"]),
        (("medserl", "ask", "note"), []),
    ],
)
def test_bash_completes_commands_specs_fields_and_choices(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*words) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_given_the_same_flags(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "completion", shell)
    assert all(flag.name.removeprefix("--") in out for name in COMMANDS for flag in completion.flags(name))
