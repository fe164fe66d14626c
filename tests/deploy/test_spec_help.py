from __future__ import annotations

from pathlib import Path

import pytest

from deploy import cli, spec_help
from tests.deploy.command_line import said


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command line that asks for help prints."""
    with pytest.raises(SystemExit) as caught:
        cli.parse([*arguments])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_is_a_screenful_with_examples_and_the_ten_settings(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "--help")
    assert text.count("\n") < 60 and "MEDSERL_SECTION__FIELD" in text
    assert text.index("examples:") < text.index("--resume  ") < text.index("--learner.lora_rank")
    for name in spec_help.TEN:
        assert f"  --{name} " in text
    assert "--learner.max_grad_norm" not in text and "--help SECTION" in text


def test_help_all_has_every_setting_and_its_own_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "--help-all")
    assert "--resume" in text and "--learner.max_grad_norm" in text and "Peak AdamW learning rate." in text


@pytest.mark.parametrize(
    ("section", "setting", "other"),
    [
        ("learner", "--learner.max_grad_norm", "--sampling.max_tokens"),
        ("verdict", "--envs.verdict.data.max_words", "--envs.clinic.weight"),
        ("data", "--envs.verdict.data.max_words", "--envs.verdict.reward.outcome"),
    ],
)
def test_help_explains_one_section(
    spec_file: Path, capsys: pytest.CaptureFixture[str], section: str, setting: str, other: str
) -> None:
    text = explained(capsys, str(spec_file), "--help", section)
    assert setting in text and other not in text


def test_the_sections_that_help_offers_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    offered = explained(capsys, "--help").partition("which is one of\n")[2].partition("or all")[0].split()
    assert len(offered) > 10
    for section in offered:
        assert f"--{section.rstrip(',')}." in explained(capsys, "--help", section.rstrip(","))


def test_help_of_a_section_that_does_not_exist_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--help", "lerner").startswith("--help lerner: no such section; did you mean learner?")
