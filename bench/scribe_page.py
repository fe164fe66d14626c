"""The page of `bench.scribe`: its figures, and a few tasks of each quadrant with every edit of their source marked.

One static file without scripts. All text is escaped, because notes come from a user's file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Protocol

from common.markup import marked
from common.records import LabelledTask
from envs.verdict.data.medec import Note
from envs.verdict.scribe.edits import placed

EXAMPLES = 3  # per quadrant
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1a1a1a;
  background: #fff }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd }
.broken { font-weight: bold; color: #a40000 }
article { border: 1px solid #bbb; border-radius: .5rem; padding: 0 1rem 1rem; margin: 1rem 0 }
ol { padding-left: 2rem }
del { background: #ffe1e1 } ins { background: #d9f2d9; text-decoration: none; font-weight: bold }
.error { outline: 2px solid #a40000; outline-offset: 2px }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #161616 } del { background: #5c1f1f } ins { background: #1d4a1d }
  td, th, article { border-color: #444 } .broken { color: #ff8080 } .error { outline-color: #ff8080 }
}
"""


class Line(Protocol):
    """A figure of the table: see `bench.scribe.Figure`."""

    @property
    def name(self) -> str:
        """Name of the figure."""

    @property
    def value(self) -> str:
        """The measured value as text."""

    @property
    def bound(self) -> str:
        """The bound as text."""

    @property
    def ok(self) -> bool | None:
        """Whether the bound holds; None where there is none."""


def document(
    lines: Sequence[Line], tasks: Sequence[LabelledTask], sources: Mapping[str, Note], judged: str = ""
) -> str:
    """The page as HTML. `sources` holds the notes that the tasks came from, by id; `judged` is what a reader judges."""
    rows = "".join(map(_row, lines))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tasks made without a model</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Tasks made without a model</h1>
<table><thead><tr><th scope="col">Figure</th><th scope="col">Measured</th><th scope="col">Bound</th>
<th scope="col">Kept</th></tr></thead><tbody>{rows}</tbody></table>
{"".join(_section(name, found, sources) for name, found in sorted(_examples(tasks).items()))}
{judged}</body>
</html>
"""


def _row(line: Line) -> str:
    kept = {None: "", True: "yes", False: '<span class="broken">no</span>'}[line.ok]
    cells = f"<td>{escape(line.value)}</td><td>{escape(line.bound)}</td><td>{kept}</td>"
    return f'<tr><th scope="row">{escape(line.name)}</th>{cells}</tr>\n'


def _examples(tasks: Sequence[LabelledTask]) -> dict[str, list[LabelledTask]]:
    """Tasks spread evenly over each quadrant."""
    groups: dict[str, list[LabelledTask]] = defaultdict(list)
    for task in tasks:
        groups[task.task.provenance.kind].append(task)
    return {
        name: [found[k * len(found) // EXAMPLES] for k in range(min(EXAMPLES, len(found)))]
        for name, found in groups.items()
    }


def _section(name: str, tasks: Sequence[LabelledTask], sources: Mapping[str, Note]) -> str:
    articles = "".join(_article(task, sources[task.task.provenance.source]) for task in tasks)
    return f"<h2>{escape(name.replace('_', ' '))}</h2>\n{articles}"


def _article(labelled: LabelledTask, source: Note) -> str:
    truth, provenance = labelled.label.truth, labelled.task.provenance
    label = "clean"
    if truth["error_type"] is not None:
        label = f"{truth['error_type']} in sentence {truth['sentence']}; right: {truth['corrected_text']}"
    tier = f"; tier {provenance.tier}" if provenance.tier else ""
    told = placed(source.sentences, truth.get("order", ()))
    sentences = zip(told, labelled.task.context["sentences"], strict=True)
    items = "".join(_item(was, now, at == truth["sentence"]) for at, (was, now) in enumerate(sentences))
    return (
        f"<article><h3>{escape(provenance.source)}</h3><p>Label: {escape(label)}{escape(tier)}. "
        f'Operators: {escape(", ".join(provenance.operators) or "none")}.</p><ol start="0">{items}</ol></article>\n'
    )


def _item(was: str, now: str, is_error: bool) -> str:
    opened = '<li class="error">' if is_error else "<li>"
    return f"{opened}{marked(was, now)}</li>\n"
