from __future__ import annotations

import bz2
import json
import os
import pickle
from pathlib import Path

import pytest

from envs.verdict.knowledge import build
from envs.verdict.knowledge.tables import table, words

FOLDER = Path(build.__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))
DRUGS = {
    "drug_canonical_to_data": {
        "wexelicin": {"medline_plus_id": "a1"},
        "Zelnorm": {"medline_plus_id": "a2"},
        "zoledronic acid": {"medline_plus_id": "a3"},
        "obscurine": {"drugbank_id": "DB1"},
        "metformin": {"medline_plus_id": "a4"},
        "newolol": {"medline_plus_id": "a5"},
    },
    "drug_variant_to_variant_data": {"Zelnorm": {"is_brand": True}},
}
DISEASES = {
    "disease_canonical_to_data": {
        "kwashiorkor": {"mesh_tree": ["C18.654"]},
        "tetanus": {"mesh_tree": ["C01.150"]},
        "reading": {"mesh_tree": ["F02.463"]},
    },
    "disease_variant_to_canonical": {
        "kwashiorkor": ["kwashiorkor"],
        "lockjaws": ["tetanus"],
        "tetanic syndrome": ["tetanus"],
        "reading": ["reading"],
        "syndrome": ["tetanus"],
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_every_group_of_a_table_names_its_source_and_the_file_is_small(name: str) -> None:
    held = table(name)
    assert set(held["source"]) == set(held) - {"source"}
    assert all(len(source) > 20 for source in held["source"].values())
    assert (FOLDER / f"{name}.json").stat().st_size < build.MOST_BYTES


def test_look_alikes_allergy_classes_and_ceilings_name_known_drugs() -> None:
    drugs, known = table("drugs"), words("drugs", "generics")
    assert all(len(pair) == 2 and set(pair) <= known and pair[0] != pair[1] for pair in drugs["look_alikes"])
    assert set(drugs["class_names"].values()) == set(drugs["classes"])
    assert {part for members in drugs["classes"].values() for name in members for part in name.split("-")} <= known
    assert set(drugs["ceilings_mg_per_day"]) <= known and min(drugs["ceilings_mg_per_day"].values()) > 0
    assert set(drugs["brands"].values()) <= known


def test_every_organism_of_a_group_is_named() -> None:
    organisms = table("organisms")
    assert {name for group in organisms["groups"].values() for name in group} <= set(organisms["names"])


def test_only_new_single_words_from_open_sources_are_kept() -> None:
    assert build.drug_names(DRUGS) == ["wexelicin"]
    assert build.disease_names(DISEASES) == ["kwashiorkor", "lockjaw"]


def test_the_built_lists_join_the_hand_made_ones() -> None:
    built = json.loads(build.BUILT.read_text(encoding="utf-8"))
    for name in ("drugs.generics", "terms.diseases"):
        assert len(built[name]) > 500 and set(built[name]) < words(*name.split("."))
        assert not set(built[name]) & set(table(name.split(".")[0])[name.split(".")[1]])


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 7",)


@pytest.mark.parametrize("content", [Runs(), ["a list"], build.FILES])
def test_a_pickle_is_read_as_plain_data_or_not_at_all(tmp_path: Path, content: object) -> None:
    file = tmp_path / "d.pkl.bz2"
    file.write_bytes(bz2.compress(pickle.dumps(content)))
    if isinstance(content, dict):
        assert build.read_plain(file) == build.FILES
    else:
        with pytest.raises(ValueError, match=r"asks for \w+\.system|holds a list"):
            build.read_plain(file)


def test_a_file_that_is_no_pickle_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "d.pkl.bz2"
    file.write_bytes(b"plain text")
    with pytest.raises(ValueError, match="is not plain data"):
        build.read_plain(file)


def test_without_the_packages_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert build.main() == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "pip install drug-named-entity-recognition==2.0.9" in told
