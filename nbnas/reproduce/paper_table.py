"""A table that reads like that of the paper: methods by data sets and metrics, published above reproduced."""

import html

import pandas as pd
from IPython.display import HTML

from nbnas.plots.names import readable
from nbnas.reproduce.verdicts import CONSISTENT, MATCH, NOT_ATTEMPTED, count_verdicts

SIGNS = {
    **{"match": "✓", "consistent": "○", "close": "≈", "explained": "∴", "differs": "≠"},
    **{"not comparable": "∦", "not attempted": "–"},
}
"""Verdict -> its sign, so that colour alone tells nothing."""
_STYLE = """<style>
.paper { border-collapse: collapse; font-size: .82em; }
.paper caption { text-align: left; font-weight: 600; padding: .3em 0; }
.paper th, .paper td { padding: .25em .4em; text-align: left; vertical-align: top; }
.paper td { text-align: right; white-space: nowrap; }
.paper thead th { text-align: center; }
.paper .published { color: #767676; }
.paper small { font-size: .85em; }
</style>"""


def paper_table(table: pd.DataFrame, caption: str) -> HTML:
    """Show verdicts of :func:`nbnas.reproduce.verdicts.compare` in the shape of the published table.

    Each cell has the published value in grey, and below it ours in bold, the sign of the verdict and Δ, ours less the
    published value. What lies outside of the uncertainty or was not attempted has a footnote.
    """
    notes: dict[str, int] = {}
    levels = table["dataset"].str.split(", ", expand=True).fillna("").add_prefix("level ")
    columns = [*levels.columns, "metric"]
    cells = [_cell(row, notes) for row in table.itertuples()]
    numbered = levels.assign(row=table["row"], metric=table["metric"], cell=cells)
    shape = numbered.pivot_table(index="row", columns=columns, values=["cell"], aggfunc="<br>".join, sort=False)["cell"]
    rows = "".join(
        f'<tr><th scope="row">{html.escape(readable(name))}</th>'
        + "".join(f"<td>{cell if isinstance(cell, str) else ''}</td>" for cell in cells)
        + "</tr>"
        for name, cells in zip(shape.index, shape.to_numpy(), strict=True)
    )
    counts = ", ".join(f"{SIGNS[name]} {count} {name}" for name, count in count_verdicts(table).items() if count)
    legend = f"Grey: published. Bold: ours, with Δ, ours less published. {counts}."
    listed = "".join(f"<li id='note-{number}'>{html.escape(note)}</li>" for note, number in notes.items())
    reasons = f"<details><summary>{len(notes)} footnotes</summary><ol>{listed}</ol></details>" if notes else ""
    head = "".join(_head(shape.columns, level) for level in range(len(columns)))
    return HTML(
        f'{_STYLE}<table class="paper"><caption>{html.escape(caption)}</caption><thead>{head}</thead>'
        f"<tbody>{rows}</tbody></table><p>{legend}</p>{reasons}"
    )


def _head(columns: pd.Index, level: int) -> str:
    """One line of the head, in which equal neighbours share a cell."""
    names = [readable(key[level]) for key in columns]
    above = [key[:level] for key in columns]
    starts = [at for at in range(len(names)) if at == 0 or (names[at], above[at]) != (names[at - 1], above[at - 1])]
    cells = [
        f'<th scope="colgroup" colspan="{end - start}">{html.escape(names[start])}</th>'
        for start, end in zip(starts, [*starts[1:], len(names)], strict=True)
    ]
    return f"<tr><th></th>{''.join(cells)}</tr>"


def _cell(row, notes: dict[str, int]) -> str:
    published = f'<span class="published">{row.published}</span>'
    number = ""
    if row.verdict not in (MATCH, CONSISTENT) and row.note:
        number = f"<sup>{notes.setdefault(row.note, len(notes) + 1)}</sup>"
    if row.verdict == NOT_ATTEMPTED:
        return f"{published}<br>{SIGNS[row.verdict]}{number}"
    digits = min(len(row.published.partition("e")[0].partition(".")[2]), 3)
    title = f"{row.verdict}, interval {row.low:.4g} to {row.high:.4g}"
    ours = f'<b title="{title}">{row.reproduced:.{digits}f}</b>'
    sign = f'<span class="sign {row.verdict.replace(" ", "-")}" title="{row.verdict}">{SIGNS[row.verdict]}</span>'
    return f"{published}<br>{ours} {sign} <small>{row.difference:+.{digits}f}</small>{number}"
