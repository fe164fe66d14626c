from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bench import scribe, scribe_reader
from bench.scribe import figures, generate, main
from bench.scribe_errors import Figure, Made
from bench.scribe_page import document
from envs.verdict.checker import Checker
from envs.verdict.data.medec import bundled_path
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.spec import DataSpec, QuadrantMix, VerdictSettings

DATA = DataSpec(proposer_tries=0)
ENV = VerdictEnvironment(VerdictSettings(data=DATA), 0)


@pytest.fixture(scope="module")
def made() -> Made:
    return generate(ENV, 200)


def broken(made: Made, data: DataSpec = DATA) -> list[str]:
    return [line.name for line in figures(ENV, made, data) if line.ok is False]


def test_the_bundled_notes_break_no_bound_and_the_page_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["--tasks", "200", "--page", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "quadrant augmented_error" in printed and "NO" not in printed
    html = page.read_text()
    assert html.count("<article>") == 12 and "<ins>" in html and "<del>" in html and "<script" not in html
    assert "Injected errors (50)" in html and "Rewordings (" in html


def test_every_injected_error_is_shown_with_its_proof_and_rewordings_with_their_edits(made: Made) -> None:
    sources, checker = scribe._sources(ENV.sources.notes), Checker(ENV.sources.notes, DATA.heldout)
    injected = scribe_reader.injections(made.tasks, checker, sources, 0)
    assert len(injected) == 50 and all(case.before != case.after and case.claim for case in injected)
    assert not any("verifier" in case.claim for case in injected)
    reworded = scribe_reader.rewordings(made.tasks, sources, 0)
    assert len(reworded) > 30 and all(case.before != case.after for case in reworded)
    assert all("retell:" in case.claim or "reword:" in case.claim for case in reworded)


def test_another_mix_than_asked_for_is_a_broken_bound(made: Made) -> None:
    mix = QuadrantMix(augmented_error=0.4, augmented_safe=0.4, synthetic_decoy=0.1, synthetic_injection=0.1)
    assert set(broken(made, DATA.model_copy(update={"quadrants": mix}))) == {f"quadrant {n}" for n in mix.model_dump()}


def test_tasks_that_are_made_too_slowly_break_the_bound(made: Made) -> None:
    assert broken(msgspec.structs.replace(made, cpu_s=10.0)) == ["tasks/s"]


def test_a_false_label_and_a_log_that_does_not_invert_break_the_bound(made: Made) -> None:
    tasks = [
        msgspec.structs.replace(
            task, label=msgspec.structs.replace(task.label, truth={**task.label.truth, "edits": []})
        )
        for task in made.tasks
    ]
    found = broken(msgspec.structs.replace(made, tasks=tuple(tasks)))
    assert {"decoys that invert", "tasks that invert", "checker disagrees"} <= set(found)


def test_tasks_near_to_the_evaluation_notes_break_the_bound(made: Made) -> None:
    assert broken(made, DATA.model_copy(update={"evaluation": bundled_path()})) == ["4-grams shared"]


def test_wrong_input_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", "absent.csv"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["--data", ""]) == 2
    assert len((said := capsys.readouterr().err).splitlines()) == 1 and "path" in said


def test_a_page_shows_the_bound_that_is_broken() -> None:
    line = Figure(name="a<b", value="1", bound="2", ok=False)
    assert re.search(r'a&lt;b</th><td>1</td><td>2</td><td><span class="broken">no</span>', document([line], [], {}))
