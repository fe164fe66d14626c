"""Texts as HTML for the pages that runs and benches write."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from html import escape


def marked(was: str, now: str) -> str:
    """`now` as HTML, with what it took from `was` struck out and what it put in its place marked, word by word."""
    old, new = (re.findall(r"\s+|[^\s]+", text) for text in (was, now))
    html = []
    for kind, i, j, k, m in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[i:j])), escape("".join(new[k:m]))
        if kind == "equal":
            html.append(come)
        else:
            html.append((f"<del>{gone}</del>" if gone else "") + (f"<ins>{come}</ins>" if come else ""))
    return "".join(html)
