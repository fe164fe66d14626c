"""The page of tables as HTML to print: the Markdown that `envs.clinic.show` writes, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from markupsafe import Markup, escape

REMARKS = "right? remarks"
"""The heading of the empty column for the reader, in tables of rows that have a source."""
SOURCE = "source"
_STYLE = """
@page { size: A4 landscape; margin: 12mm; }
body { font: 10.5pt/1.4 Georgia, 'Times New Roman', serif; color: #111; }
body { max-width: 273mm; margin: 0 auto; padding: 4mm; }
h1 { font-size: 20pt; margin: 0 0 4mm; } h2 { font-size: 15pt; margin: 8mm 0 2mm; break-after: avoid; }
h3 { font-size: 12pt; margin: 5mm 0 1mm; } h3, h3 + p { break-after: avoid; } ul { break-inside: avoid; }
p { margin: 1mm 0; } ul { margin: 1mm 0; padding-left: 6mm; }
section { break-before: page; } nav ul { columns: 2; }
table { border-collapse: collapse; width: 100%; margin: 2mm 0; font-size: 9pt; line-height: 1.3; }
th, td { border: .3pt solid #888; padding: .8mm 1.5mm; text-align: left; vertical-align: top; }
th { background: #eee; } thead { display: table-header-group; } tr { break-inside: avoid; }
td.number { color: #666; } td.remarks { min-width: 30mm; } code { font: 8.5pt 'DejaVu Sans Mono', monospace; }
"""


def html(markdown: str) -> str:
    """The whole document; each part of level 2 begins a page."""
    title, *parts = re.split(r"^(?=## )", markdown, flags=re.MULTILINE)
    heads = [re.match(r"## (.*)", part)[1] for part in parts]  # type: ignore[index]
    links = Markup("").join(
        Markup('<li><a href="#part-{}">{}</a></li>').format(at, _inline(head)) for at, head in enumerate(heads)
    )
    sections = Markup("").join(
        Markup('<section id="part-{}">{}</section>').format(at, Markup("").join(_blocks(part)))
        for at, part in enumerate(parts)
    )
    return str(
        Markup(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tables of the clinic</title><style>{}</style>'
            "<body>{}<nav><ul>{}</ul></nav>{}</body></html>\n"
        ).format(Markup(_STYLE), Markup("").join(_blocks(title)), links, sections)
    )


def _blocks(text: str) -> Iterator[Markup]:
    """Runs of lines of one kind."""
    for kind, lines in groupby(text.splitlines(), key=_kind):
        yield from _block(kind, list(lines))


def _kind(line: str) -> str:
    found = re.match(r"#+ |- |\|", line)
    return found[0].strip() if found else "text" if line.strip() else ""


def _block(kind: str, lines: list[str]) -> Iterator[Markup]:
    if kind.startswith("#"):
        yield from (Markup("<h{0}>{1}</h{0}>").format(len(kind), _inline(line.lstrip("# "))) for line in lines)
    elif kind == "-":
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(line[2:])) for line in lines)
        yield Markup("<ul>{}</ul>").format(items)
    elif kind == "|":
        yield _table([_cells(line) for line in lines])
    elif kind:
        yield Markup("<p>{}</p>").format(_inline(" ".join(lines)))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _table(rows: list[list[str]]) -> Markup:
    """Rows are numbered; where they have a source, the reader has room for remarks."""
    head, _, *body = rows
    sourced = SOURCE in head
    names = Markup("").join(Markup("<th>{}</th>").format(name) for name in [*head, *([REMARKS] if sourced else [])])
    remarks = Markup('<td class="remarks"></td>') if sourced else Markup("")
    lines = Markup("").join(
        Markup('<tr><td class="number">{}</td>{}{}</tr>').format(
            at, Markup("").join(Markup("<td>{}</td>").format(_inline(cell)) for cell in row), remarks
        )
        for at, row in enumerate(body, 1)
    )
    return Markup("<table><thead><tr><th>#</th>{}</tr></thead><tbody>{}</tbody></table>").format(names, lines)


def _inline(text: str) -> Markup:
    """Code and bold."""
    shown = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^*]*)\*\*", r"<strong>\1</strong>", shown))
