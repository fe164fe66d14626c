from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.verdict.data.medec import ERROR_TYPES, Note, clean_version, load, load_notes, split_of
from envs.verdict.data.text import one_line, repair
from envs.verdict.data.vignettes import name_vignettes

REAL = Path(__file__).parents[4].parent / "shared" / "medec"
VALIDATION = REAL / "MEDEC-MS-ValidationSet-with-GroundTruth-and-ErrorType.csv"
PAIRS = REAL / "medec_ms_train_pairs.jsonl"
real = pytest.mark.skipif(not REAL.exists(), reason="the MEDEC files are not here")

HEADER = [
    "Text ID",
    "Text",
    "Sentences",
    "Error Flag",
    "Error Type",
    "Error Sentence ID",
    "Error Sentence",
    "Corrected Sentence",
    "Corrected Text",
]
STORY = "0 A man of 40 years has a stiff knee since his fall.\n1 He is otherwise well and walks to work.\n"
_BAD_CELLS = ["b", "", STORY + "2 He gets a cast.", "1", "treatment", "2", "He gets a cast.", "He rests.", ""]
BAD = dict(zip(HEADER, _BAD_CELLS, strict=True))
GOOD = dict(zip(HEADER, ["g", "", STORY + "2 He rests.", "0", "NA", "-1", "NA", "NA", "NA"], strict=True))
PAIR = {
    "note_id": "p-0",
    "incorrect_note": "Seen by Dr. Lee at 9 a.m. today. He gets a cast. He is well.",
    "correct_note": "Seen by Dr. Lee at 9 a.m. today. He rests. He is well.",
    "error_type": "causalorganism",
    "error_sentence": "He gets a cast.",
    "corrected_sentence": "He rests.",
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(*rows: dict[str, str], newline: str = "\n", encoding: str = "utf-8") -> Path:
        path = tmp_path / "notes.csv"
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.DictWriter(file, HEADER, lineterminator=newline)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return _write


def test_an_error_note_knows_its_sentence_type_and_correction(write: Write) -> None:
    note, twin = load_notes(write(BAD, GOOD))
    assert (note.note_id, note.is_error, note.error_type, note.error_sentence) == ("b", True, "treatment", 2)
    assert note.sentences[2] == "He gets a cast."
    assert note.corrected_sentence == "He rests."
    assert not twin.is_error and twin.error_sentence is None and twin.corrected_sentence is None
    assert twin.text.endswith("walks to work. He rests.")


def test_twins_share_a_vignette_that_no_order_or_id_changes(write: Write) -> None:
    other = {**GOOD, "Text ID": "z", "Sentences": "0 Quite another story about the lungs of a child who wheezes."}
    names = {note.note_id: note.vignette for note in load_notes(write(BAD, GOOD, other))}
    assert names["b"] == names["g"] != names["z"]
    renamed = {**BAD, "Text ID": "0"}
    assert [n.vignette for n in load_notes(write(other, GOOD, renamed))] == [names["z"], names["g"], names["b"]]


def test_a_line_without_the_next_id_continues_the_sentence_before(write: Write) -> None:
    cell = "0 Labs:\nHb 12\n5 of them low\n1 He rests."
    (note,) = load_notes(write({**GOOD, "Sentences": cell}))
    assert note.sentences == ("Labs: Hb 12 5 of them low", "He rests.")
    assert note.raw_sentences == ("Labs:\nHb 12\n5 of them low", "He rests.")


def test_cells_and_rows_may_hold_crlf_and_a_byte_order_mark(write: Write) -> None:
    crlf = {**BAD, "Sentences": BAD["Sentences"].replace("\n", "\r\n"), "Error Sentence": "He gets a cast.\r\n"}
    (note,) = load_notes(write(crlf, newline="\r\n", encoding="utf-8-sig"))
    assert len(note.sentences) == 3 and note.error_sentence == 2


def test_double_encoded_text_is_repaired_for_prompts_and_kept_raw_for_scoring(write: Write) -> None:
    broken = "He says â€œnoâ€\x9d to 5 Î¼g."
    row = {**BAD, "Sentences": STORY + "2 He gets a cast.", "Corrected Sentence": broken}
    (note,) = load_notes(write(row))
    assert note.corrected_sentence == "He says “no” to 5 μg."
    assert note.raw_corrected_sentence == broken
    assert clean_version(note).raw_sentences[2] == broken


def test_a_small_file_leaves_the_limit_of_other_readers_of_csv_as_it_was(write: Write) -> None:
    before = csv.field_size_limit()
    load_notes(write(GOOD))
    assert csv.field_size_limit() >= before


def test_padding_rows_and_the_floats_they_cause_are_read(write: Write) -> None:
    blank = dict.fromkeys(HEADER, "")
    floats = {**BAD, "Error Flag": "1.0", "Error Sentence ID": "2.0"}
    assert [note.error_sentence for note in load_notes(write(blank, floats, blank))] == [2]


def test_the_clean_version_has_the_correction_put_in(write: Write) -> None:
    (note,) = load_notes(write(BAD))
    clean = clean_version(note)
    assert clean.sentences == (*note.sentences[:2], "He rests.")
    assert clean.vignette == note.vignette and not clean.is_error and clean.note_id != note.note_id
    with pytest.raises(ValueError, match="no error to correct"):
        clean_version(clean)


@pytest.mark.parametrize(
    ("change", "row", "field"),
    [
        ({"Error Flag": "yes"}, 3, "Error Flag"),
        ({"Error Flag": "2"}, 3, "Error Flag"),
        ({"Error Flag": "0"}, 3, "Error Type"),
        ({"Error Type": "dose"}, 3, "Error Type"),
        ({"Error Type": ""}, 3, "Error Type"),
        ({"Error Sentence ID": "3"}, 3, "Error Sentence ID"),
        ({"Error Sentence ID": "-1"}, 3, "Error Sentence ID"),
        ({"Error Sentence ID": "two"}, 3, "Error Sentence ID"),
        ({"Error Sentence ID": "1"}, 3, "Error Sentence"),
        ({"Error Sentence": "He gets a splint."}, 3, "Error Sentence"),
        ({"Corrected Sentence": ""}, 3, "Corrected Sentence"),
        ({"Corrected Sentence": "He  gets a cast."}, 3, "Corrected Sentence"),
        ({"Sentences": "He gets a cast."}, 3, "Sentences"),
        ({"Sentences": " "}, 3, "Sentences"),
        ({"Text ID": ""}, 3, "Text ID"),
        ({"Text ID": "g"}, 3, "Text ID"),
    ],
)
def test_a_malformed_row_is_refused_in_one_line_with_row_and_field(
    write: Write, change: dict[str, str], row: int, field: str
) -> None:
    path = write(GOOD, {**BAD, **change})
    with pytest.raises(ValueError) as refusal:
        load_notes(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}:row {row}, field '{field}': ")
    assert "; write " in message and "\n" not in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "field 'Text ID': no such column"),
        (b"Text ID,Text\na,b\n", "field 'Sentences': no such column"),
        (",".join(HEADER).encode() + b"\n", "no notes in it"),
        (",".join(HEADER).encode() + b"\na,b\n", "more or fewer cells"),
        (",".join(HEADER).encode() + b'\n"a"b,c\n', "not CSV"),
        (b"Text ID,\xff\n", r"row 1, field '\?': byte 0xff is not UTF-8"),
        (",".join(HEADER).encode() + b"\na,b,\xe9t\xe9,,,,,,\n", "row 2, field 'Sentences': byte 0xe9 is not UTF-8"),
    ],
)
def test_a_file_that_is_not_medec_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "notes.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says) as refusal:
        load_notes(path)
    assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)


def test_a_missing_file_or_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file; write 'bundled' or"):
        load_notes(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="is a folder"):
        load_notes(tmp_path)


def write_pairs(folder: Path, *rows: object) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_pair_gives_an_error_note_and_its_corrected_twin(tmp_path: Path) -> None:
    error, clean = load_notes(write_pairs(tmp_path, PAIR))
    assert error.sentences == ("Seen by Dr. Lee at 9 a.m. today.", "He gets a cast.", "He is well.")
    assert (error.error_sentence, error.error_type) == (1, "causalOrganism")
    assert clean.sentences[1] == "He rests." and not clean.is_error
    assert clean.vignette == error.vignette


def test_pairs_that_overlap_the_evaluation_files_are_left_out(tmp_path: Path) -> None:
    overlapping = [{**PAIR, "note_id": f"ms-train-{n}"} for n in (999, 768, 1819, 757, 1980)]
    assert len(load_notes(write_pairs(tmp_path, *overlapping, PAIR))) == 2


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**PAIR, "error_sentence": "He gets a splint."}, "row 2, field 'error_sentence': does not occur exactly once"),
        ({**PAIR, "error_type": "dose"}, "row 2, field 'error_type': unknown type 'dose'"),
        ({**PAIR, "corrected_sentence": None}, "row 2, field 'corrected_sentence': is missing"),
        ({**PAIR, "corrected_sentence": "He gets a cast."}, "row 2, field 'corrected_sentence': is equal"),
        ({**PAIR, "note_id": 7}, "row 2, field 'note_id'"),
        ({**PAIR, "note_id": "p-1"}, "row 2, field 'note_id': 'p-1' occurs in an earlier row too"),
        (["a"], "row 2: not a JSON object"),
    ],
)
def test_a_malformed_pair_is_refused_in_one_line(tmp_path: Path, row: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_notes(write_pairs(tmp_path, {**PAIR, "note_id": "p-1"}, row))


def test_a_line_that_is_not_json_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("{oops\n")
    with pytest.raises(ValueError, match="row 1: not JSON"):
        load_notes(path)


def test_a_pair_that_is_not_utf_8_is_refused_with_its_row_and_field(tmp_path: Path) -> None:
    path = write_pairs(tmp_path, PAIR, {**PAIR, "note_id": "p-1"})
    path.write_bytes(path.read_bytes()[::-1].replace(b".stser", b".st\xe9r", 1)[::-1])
    with pytest.raises(ValueError, match=r"row 2, field 'corrected_sentence': byte 0xe9 is not UTF-8; write "):
        load_notes(path)


def test_bad_rows_may_be_skipped_and_are_reported_one_by_one(write: Write) -> None:
    other = {**GOOD, "Text ID": "z", "Sentences": "0 Quite another story about the lungs of a child who wheezes."}
    path = write(BAD, {**BAD, "Text ID": "c", "Error Type": "dose"}, GOOD, {**GOOD, "Error Flag": "7"}, other)
    path.write_bytes(path.read_bytes().replace(b"wheezes", b"whe\xe9zes"))
    loaded = load(path, skip_bad_rows=True)
    assert [note.note_id for note in loaded.notes] == ["b", "g"]
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in loaded.skipped] == [
        "row 3, field 'Error Type'",
        "row 5, field 'Text ID'",
        "row 6, field 'Sentences'",
    ]


def test_bad_pairs_may_be_skipped(tmp_path: Path) -> None:
    path = write_pairs(tmp_path, {**PAIR, "error_type": "dose"}, ["a"], {**PAIR, "note_id": "p-1"})
    loaded = load(path, skip_bad_rows=True)
    assert len(loaded.notes) == 2 and len(loaded.skipped) == 2


def test_a_file_of_bad_rows_only_is_refused_even_when_they_may_be_skipped(write: Write) -> None:
    path = write({**BAD, "Error Flag": "7"})
    with pytest.raises(ValueError, match=r"no notes in it.* all 1 rows are bad, the first: .*row 2, field"):
        load(path, skip_bad_rows=True)


def test_many_copies_of_a_note_are_one_vignette() -> None:
    text = "A man of 40 years has a stiff knee since his fall on the ice in front of the house number"
    texts = [f"{text} {n}." for n in range(40)] + ["Nothing of the kind is said here about any knee at all."]
    names = name_vignettes(texts, [str(n) for n in range(41)])
    assert len(set(names[:40])) == 1 and names[40] != names[0]


@given(st.floats(0, 0.99))
def test_the_heldout_share_of_vignettes_is_what_was_asked(heldout: float) -> None:
    share = sum(split_of(f"v{n}", heldout) == "heldout" for n in range(2000)) / 2000
    assert abs(share - heldout) < 0.05


@pytest.fixture(scope="module")
def validation() -> list[Note]:
    return load_notes(VALIDATION)


@real
def test_the_validation_file_loads_whole() -> None:
    notes = load_notes(VALIDATION)
    assert (len(notes), sum(note.is_error for note in notes)) == (574, 319)


@real
def test_validation_twins_are_pairs_of_one_error_and_one_clean_note(validation: list[Note]) -> None:
    sizes = Counter(note.vignette for note in validation)
    assert Counter(sizes.values()) == {2: 255, 1: 64}
    flags = Counter((note.vignette, note.is_error) for note in validation)
    assert set(flags.values()) == {1}


@real
def test_no_double_encoding_or_line_break_survives_in_the_validation_prompts(validation: list[Note]) -> None:
    text = "".join(sentence for note in validation for sentence in note.sentences)
    assert not set(text) & set("â€œÂÃÎ\n\r")
    assert sum(any("\n" in raw.strip() for raw in note.raw_sentences) for note in validation) == 77


@real
def test_every_training_pair_locates_its_error_sentence() -> None:
    notes = load_notes(PAIRS)
    assert len(notes) == 2 * (1219 - 5)
    rows = {row["note_id"]: row for row in map(json.loads, PAIRS.read_text(encoding="utf-8").splitlines())}
    for note in notes:
        if note.error_sentence is not None:
            row = rows[note.note_id]
            assert note.sentences[note.error_sentence] == one_line(repair(row["error_sentence"]))
            assert "".join("".join(note.raw_sentences).split()) == "".join(row["incorrect_note"].split())
    assert {note.error_type for note in notes} == {None, *ERROR_TYPES}


def test_the_bundled_notes_load() -> None:
    notes = load_notes("bundled")
    assert {note.error_type for note in notes} == {None, *ERROR_TYPES}
    assert {split_of(note.vignette, 0.2) for note in notes} == {"train", "heldout"}
