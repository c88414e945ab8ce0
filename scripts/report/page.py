"""The page and the JSON: figures in, files out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_edit_engine.imaging.animation import write_animation
from report.figure import Cell, Figure, Finding, Row, Table

GAP = 4  # pixels of white on each side of a picture in its row
QUALITY = 82
FRAME_RATE = 12.0
VERDICTS = {True: ("agrees", "Agrees"), False: ("differs", "Differs"), None: ("beside", "Seen")}

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #1c1f24; background: #fff; margin: 0 auto; max-width: 1100px;
  padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; margin: 0 0 .4rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .3rem; border-top: 1px solid #d8dbe0; padding-top: 1.6rem; }
p { margin: .4rem 0; max-width: 48rem; }
.about { color: #565c66; }
.row { margin: 1.1rem 0; }
.row img { display: block; width: 100%; height: auto; }
.row .caption { font-weight: 600; margin: 0 0 .3rem; white-space: nowrap; }
.labels { display: grid; grid-template-columns: repeat(var(--n), 1fr); text-align: center; font-size: .85rem;
  line-height: 1.3; }
.labels span { padding: .3rem 4px 0; }
.labels small { display: block; color: #565c66; font-size: .76rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #e3e6ea; text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; color: #565c66; }
ul.findings { list-style: none; padding: 0; margin: 1rem 0; max-width: 54rem; }
ul.findings li { margin: .5rem 0; padding: .35rem .8rem; border-left: 4px solid #9aa1ab; background: #f6f7f9; }
ul.findings li.agrees { border-color: #2e8b57; }
ul.findings li.differs { border-color: #c8501e; }
ul.findings b { margin-right: .3rem; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.charts svg { flex: 1 1 430px; max-width: 520px; font: 12px system-ui, sans-serif; fill: #1c1f24; }
.charts .title { font-weight: 600; }
.charts .grid { stroke: #e3e6ea; }
"""


def write(folder: Path, figures: Sequence[Figure], title: str, intro: Sequence[str], facts: Mapping[str, Any]) -> None:
    """index.html, report.json and the pictures, in ``folder`` (made if missing); what lies there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    sections = [section(figure, folder) for figure in figures]
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in [*intro, count(figures)])
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = f"<h1>{escape(title)}</h1>\n{paragraphs}\n" + "\n".join(sections)
    page = f'<!doctype html>\n<html lang="en">\n<head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body>\n'
    (folder / "index.html").write_text(page + "</html>\n", encoding="utf-8")
    found = {f.name: {"findings": [asdict(x) for x in f.findings], "numbers": f.numbers} for f in figures}
    content = json.dumps(rounded({**facts, "figures": found}), indent=1, ensure_ascii=False)
    (folder / "report.json").write_text(content + "\n", encoding="utf-8")


def count(figures: Sequence[Figure]) -> str:
    """How much of the report holds."""
    claims = [finding.agrees for figure in figures for finding in figure.findings if finding.agrees is not None]
    return f"Claims of the report that hold here: {sum(claims)} of the {len(claims)} that could be compared."


def section(figure: Figure, folder: Path) -> str:
    """One figure as HTML; its pictures are written to ``folder``."""
    parts = [f'<h2 id="{figure.name}">{escape(figure.title)}</h2>', f'<p class="about">{escape(figure.about)}</p>']
    for number, row in enumerate(figure.rows, start=1):
        file = f"{figure.name}-{number}.webp"
        Image.fromarray(strip(row.cells)).save(folder / file, quality=QUALITY, method=6)
        parts.append(row_html(row, file))
    if figure.animation:
        caption, frames = figure.animation
        file = f"{figure.name}.webp"
        write_animation(folder / file, frames, FRAME_RATE)
        parts.append(row_html(Row(caption, (Cell("", frames[0]),)), file))
    parts += [f'<div class="charts">{"".join(figure.charts)}</div>'] if figure.charts else []
    parts += [table_html(figure.table)] if figure.table else []
    parts.append(f'<ul class="findings">{"".join(finding_html(finding) for finding in figure.findings)}</ul>')
    return "\n".join(parts)


def strip(cells: Sequence[Cell]) -> np.ndarray:
    """Pictures of one size side by side, each with white around it, so that all columns are equally wide."""
    padded = [np.pad(cell.pixels, ((0, 0), (GAP, GAP), (0, 0)), constant_values=255) for cell in cells]
    return np.concatenate(padded, axis=1)


def row_html(row: Row, file: str) -> str:
    """A row of pictures with its labels below, in as many equal columns."""
    width = sum(cell.pixels.shape[1] + 2 * GAP for cell in row.cells)
    alt = escape(f"{row.caption}: {', '.join(cell.label for cell in row.cells if cell.label)}", quote=True)
    notes = [f"<small>{escape(cell.note)}</small>" if cell.note else "" for cell in row.cells]
    labels = [f"<span>{escape(cell.label)}{note}</span>" for cell, note in zip(row.cells, notes, strict=True)]
    return (
        f'<div class="row" style="--n:{len(row.cells)};max-width:{width}px"><p class="caption">{escape(row.caption)}'
        f'</p><img src="{file}" alt="{alt}"><div class="labels">{"".join(labels)}</div></div>'
    )


def table_html(table: Table) -> str:
    """A table with its first column as row names."""
    head = "".join(f"<th>{escape(text)}</th>" for text in table.header)
    rows = ["".join(f"<td>{escape(text)}</td>" for text in row) for row in table.rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def finding_html(finding: Finding) -> str:
    """One sentence with its verdict."""
    kind, word = VERDICTS[finding.agrees]
    return f'<li class="{kind}"><b>{word}.</b>{escape(finding.text)}</li>'


def rounded(value: Any) -> Any:
    """Plain values for JSON, floats to six significant digits."""
    if isinstance(value, Mapping):
        return {str(key): rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
