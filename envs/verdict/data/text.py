"""Text as MEDEC files hold it: double encoding undone, sentences split, whitespace collapsed."""

from __future__ import annotations

import re

# bytes 0x80-0xFF as Windows-1252 shows them; the five bytes it leaves undefined stay control characters
_SHOWN = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0x100))
_BYTE = {char: byte for byte, char in enumerate(_SHOWN, 0x80)}
_TAIL = f"[{re.escape(_SHOWN[:0x40])}]"
_DOUBLE = re.compile(
    f"[{_SHOWN[0x42:0x60]}]{_TAIL}|[{_SHOWN[0x60:0x70]}]{_TAIL}{{2}}|[{_SHOWN[0x70:0x75]}]{_TAIL}{{3}}"
)
_PLAUSIBLE = re.compile("[\u0080-\u03ff\u2000-\u2bff]")  # Latin, Greek, punctuation, signs: `×°` is no Hebrew letter
_LOST_QUOTE = "â€"  # a closing quote whose third byte, undefined in Windows-1252, was dropped on the way
_STRAY_LEAD = re.compile(r"Â(?=\s|$)")  # the first byte of a two-byte character that a line break cut in two

_CLOSERS = r"""(?:["'’”)\]]|â€\x9d|â€™|â€(?=\s))*"""
_BOUNDARY = re.compile(r"(?P<word>\S*?[.?!])" + _CLOSERS + r"""(?P<gap>\s+)(?=["'“‘(\[]|â€œ|[A-Z0-9])""")
_ABBREVIATION = re.compile(r"(?:^|[(\"'])(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|vs|No|Nos|approx|e\.g|i\.e|cf|Fig|spp?)\.$")


def repair(text: str) -> str:
    """Undo double encoding (UTF-8 read as Windows-1252 and written again); other text is returned unchanged."""
    return _STRAY_LEAD.sub("", _DOUBLE.sub(_decode, text).replace(_LOST_QUOTE, "”"))


def one_line(text: str) -> str:
    """Runs of whitespace become one space; none at the ends."""
    return " ".join(text.split())


def split_sentences(text: str) -> list[str]:
    """Split prose at full stops before a capital, a digit or a quote; abbreviations and initials do not end a sentence.

    Joining the result with spaces gives `one_line(text)`.
    """
    sentences, start = [], 0
    for match in _BOUNDARY.finditer(text):
        if _ABBREVIATION.search(match["word"]):
            continue
        sentences.append(one_line(text[start : match.start("gap")]))
        start = match.end()
    sentences.append(one_line(text[start:]))
    return [sentence for sentence in sentences if sentence]


def _decode(match: re.Match[str]) -> str:
    try:
        char = bytes(_BYTE[shown] for shown in match[0]).decode("utf-8")
    except UnicodeDecodeError:
        return match[0]
    return char if _PLAUSIBLE.fullmatch(char) else match[0]
