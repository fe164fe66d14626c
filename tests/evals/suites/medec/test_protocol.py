from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.verdict.data.medec import load_notes
from evals.suites.medec.corrections import correction_scores, rouge1
from evals.suites.medec.floors import FLOORS, GOLD, floor
from evals.suites.medec.protocol import (
    CLEAN_ANSWER,
    PER_TEXT,
    Answer,
    Submission,
    cases,
    load_submission,
    official,
    parse_submission,
    per_text,
    submission_line,
    submission_text,
)
from tests.evals.suites.medec.notes import RIGHT, note, twins

NOTES = [*twins("a"), *twins("b"), note("c-e", "causalOrganism", at=1)]
HEADER = (
    "Text ID,Text,Sentences,Error Flag,Error Type,Error Sentence ID,Error Sentence,Corrected Sentence,Corrected Text\n"
)


@pytest.mark.parametrize("notes", [NOTES, load_notes("bundled")], ids=["five", "bundled"])
def test_gold_scores_one_everywhere(notes: list) -> None:  # type: ignore[type-arg]
    scored = official(notes, floor(GOLD, notes))
    assert (scored.flag_accuracy, scored.sentence_accuracy) == (1.0, 1.0)
    assert scored.corrections.rouge1.mean == pytest.approx(1.0)
    assert scored.corrections.rouge1.composite == pytest.approx(1.0)
    assert scored.missing == scored.malformed == scored.duplicates == scored.unknown == 0


def test_always_clean_scores_the_share_of_clean_notes_twice() -> None:
    scored = official(NOTES, floor("always clean", NOTES))
    assert scored.flag_accuracy == scored.sentence_accuracy == scored.corrections.rouge1.composite == 2 / 5
    assert scored.corrections.rouge1.mean is None and scored.corrections.compared == 0


def test_always_error_in_the_last_sentence_finds_the_errors_that_are_there() -> None:
    scored = official(NOTES, floor("always error, last sentence", NOTES))
    assert (scored.flag_accuracy, scored.sentence_accuracy) == (3 / 5, 2 / 5)


def test_a_flag_without_sentence_is_right_about_the_sentence_of_clean_notes() -> None:
    scored = official(NOTES, floor("always error, no sentence", NOTES))
    assert (scored.flag_accuracy, scored.sentence_accuracy) == (3 / 5, 2 / 5)


def test_copying_the_error_earns_part_of_rouge_and_no_floor_earns_it_all() -> None:
    scored = official(NOTES, floor("copy the error", NOTES))
    assert scored.corrections.rouge1.mean is not None and 0 < scored.corrections.rouge1.mean < 0.9
    assert {name: floor(name, NOTES) for name in FLOORS}[GOLD].answers["a-e"].correction == RIGHT


def test_padding_rows_and_float_labels_leave_gold_at_one(tmp_path: Path) -> None:
    row = 'x-1,t,"0 He is ill.\n1 He has gout.",1.0,diagnosis,1.0,He has gout.,He has flu.,t\n'
    file = tmp_path / "notes.csv"
    file.write_text(HEADER + row + ",,,,,,,,\n" * 3 + 'x-2,t,"0 He is ill.",0.0,NA,-1.0,NA,NA,NA\n')
    notes = load_notes(file)
    scored = official(notes, parse_submission('x-1 1 1 "He has flu."\nx-2 0 -1 NA\n'))
    assert (scored.texts, scored.flag_accuracy, scored.sentence_accuracy) == (2, 1.0, 1.0)


def test_missing_malformed_duplicate_and_unknown_lines_are_counted() -> None:
    lines = ["a-e 1 2 He has flu.", "a-c 0", "B-E 1 2 x", "a-e 0 -1 NA", "", "zz 0 -1 NA", "b-c  0 -1 NA", "b-e 1 2"]
    submission = parse_submission("\r\n".join(lines))
    assert submission.malformed == (2, 3, 7, 8)  # two spaces are no separator
    scored = official(NOTES, submission)
    assert (scored.missing, scored.malformed, scored.duplicates, scored.unknown) == (4, 4, 1, 1)
    assert scored.flag_accuracy == 0.0, "the last line of a-e counts"
    judged = {case.note_id: case for case in cases(NOTES, submission)}
    assert not judged["a-c"].right and not judged["a-c"].flagged


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("a-e 1 2 x", (1, 1)),
        ("a-e 01 2 x", (0, 1)),
        ("a-e 1 02 x", (1, 0)),
        ("a-e 1 -2 x", (1, 0)),
        ("a-e 2 2 x", (0, 1)),
    ],
)
def test_flags_and_sentences_are_compared_as_text(line: str, right: tuple[int, int]) -> None:
    scored = official([note("a-e", "diagnosis")], parse_submission(line))
    assert (scored.flag_accuracy, scored.sentence_accuracy) == right


def test_a_correction_on_a_clean_flag_does_not_count() -> None:
    assert parse_submission("a 0 2 He has flu.").answers["a"] == Answer(flag="0", sentence="2", correction="NA")


def test_quotes_around_a_correction_fall_and_one_character_stays() -> None:
    answers = parse_submission('a 1 2 ""He has flu.""\nb 1 2 """"').answers
    assert (answers["a"].correction, answers["b"].correction) == ("He has flu.", '"')


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_line_reads_back_whatever_the_correction_holds(text: str) -> None:
    correction = " ".join(text.split())
    submission = parse_submission(submission_line("a", Answer(flag="1", sentence="3", correction=correction)))
    read = submission.answers["a"]
    assert not submission.malformed and (read.flag, read.sentence) == ("1", "3")
    if correction.strip('"'):
        assert read.correction.strip('"') == correction.strip('"')


def test_an_id_that_the_official_script_skips_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'Note_1'.*lower-case"):
        submission_text({"Note_1": Answer(flag="0", sentence="-1", correction="NA")})


def test_a_submission_without_a_valid_line_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "submission.txt"
    file.write_text("nothing here\n")
    with pytest.raises(ValueError, match=r"submission\.txt: no valid line"):
        load_submission(file)
    with pytest.raises(ValueError, match="no such file"):
        load_submission(tmp_path / "none.txt")


def test_rouge_counts_words_once_with_their_case_and_without_full_stops() -> None:
    assert rouge1("He has the flu.", "he has the flu") == pytest.approx(2 * (3 / 4) * (3 / 4) / (3 / 2))
    assert rouge1("flu flu flu.", "flu") == pytest.approx(1.0)
    assert rouge1("dose 2.5 mg", "dose 5 mg") == pytest.approx(2 * (3 / 4) / (1 + 3 / 4))
    assert rouge1("He has flu.", ".") == 0.0


def test_a_line_break_at_the_end_of_the_reference_cell_is_one_more_empty_word_as_in_the_organisers_script(
    tmp_path: Path,
) -> None:
    """`rouge` 1.0 splits the cell at full stops, and what follows the last one at blanks: [""] for a line break."""
    row = 'x-{n},t,"0 He is ill.\n1 He has gout.",1,diagnosis,1,He has gout.,"He has flu.{end}",t\n'
    answers = {"x-1": "He has flu.", "x-2": "He has flu."}
    file = tmp_path / "notes.csv"
    file.write_text(HEADER + row.format(n=1, end="") + row.format(n=2, end="\n"))
    found = [
        official([note], parse_submission(f'{note.note_id} 1 1 "{answers[note.note_id]}"\n')).corrections.rouge1.mean
        for note in load_notes(file)
    ]
    assert found == [pytest.approx(1.0), pytest.approx(2 * (3 / 4) / (1 + 3 / 4))]


def test_an_absent_metric_is_none_and_leaves_no_aggregate() -> None:
    scores = correction_scores([("a b", "a b")], agreed_na=1, texts=4, scorers={})
    assert scores.bertscore is None and scores.bleurt is None and scores.aggregate is None
    assert scores.rouge1.composite == pytest.approx(2 / 4)


def test_the_aggregate_is_the_mean_of_three_clipped_metrics() -> None:
    scorers = {"BERTScore": lambda r, c: [1.7 for _ in r], "BLEURT": lambda r, c: [-0.4 for _ in r]}
    scores = correction_scores([("a b", "a b")], agreed_na=1, texts=4, scorers=scorers)
    assert scores.bertscore is not None and scores.bertscore.mean == 1.0
    assert scores.bleurt is not None and scores.bleurt.mean == 0.0
    assert scores.aggregate is not None and scores.aggregate.mean == pytest.approx(2 / 3)
    assert scores.aggregate.composite == pytest.approx((2 / 3 + 1) / 4)
    assert correction_scores([("a b", "a b")], 1, 4, {"BLEURT": scorers["BLEURT"]}).aggregate is None


ANSWERS = [Answer(flag="1", sentence=at, correction=text) for at in "12" for text in (RIGHT, "He has pneumonia.")]


@given(st.lists(st.sampled_from([CLEAN_ANSWER, *ANSWERS]), min_size=4, max_size=4))
def test_what_each_text_adds_has_the_official_scores_as_its_mean(answers: list[Answer]) -> None:
    notes = [*twins("a"), *twins("b", "treatment")]
    expected = official(notes, Submission(answers={one.note_id: a for one, a in zip(notes, answers, strict=True)}))
    scores = [per_text(one, given) for one, given in zip(notes, answers, strict=True)]
    means = {name: sum(score[name] for score in scores) / len(notes) for name in PER_TEXT}
    assert means["flag_accuracy"] == pytest.approx(expected.flag_accuracy)
    assert means["sentence_accuracy"] == pytest.approx(expected.sentence_accuracy)
    assert means["rouge1_composite"] == pytest.approx(expected.corrections.rouge1.composite)
