"""The page for people at the server's address: what is served, how to use it, and a box to look up.

It needs no JavaScript, and its policy allows none. All that it shows of others is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from pyodide_mirror import __version__
from pyodide_mirror.model import printable
from pyodide_mirror.server.answers import file_path

from .lookup import newest_files
from .recipes import recipes
from .words import LANGUAGES, Html, Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyodide_mirror.model import File

    from .lookup import Found
    from .state import State

_MOST_LEFT_OUT: Final = 50
_MOST_KEPT: Final = 12
_STYLE: Final = """
:root{color-scheme:light dark}
body{background:Canvas;color:CanvasText;font:16px/1.5 system-ui,sans-serif;
max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem}h3{font-size:1rem;margin:1.5rem 0 .3rem}
nav a,nav b{margin-right:1rem}
.scroll,pre{overflow:auto}
pre{background:#8881;border:1px solid #8884;border-radius:6px;padding:.7rem;user-select:all}
table{border-collapse:collapse;margin:.5rem 0}
caption{text-align:left;font-weight:bold}
td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;overflow-wrap:anywhere}
td.n{text-align:right;white-space:nowrap}
th[scope=row]{font-weight:normal}
input,button{font:inherit;padding:.2rem .5rem}
"""
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
_Row = tuple[str | int | None, ...]
"""Cells: the first is the row's head; a number is set to the right, None is nothing."""


class Landing:
    """Makes the page, and keeps it while nothing has changed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[State, str]] = OrderedDict()

    def page(self, base: str, state: State, language: str, found: Found | None = None) -> str:
        """The page for a server that its visitor sees at ``base``; ``found``: what he looked up."""
        words = Words(language)
        if found is not None:
            return _page(base, state, words, found)
        key = base, language
        kept = self._kept.pop(key, None)
        if kept is None or kept[0] != state:
            kept = state, _page(base, state, words, None)
        self._kept[key] = kept
        if len(self._kept) > _MOST_KEPT:  # anybody may ask by many addresses
            self._kept.popitem(last=False)
        return kept[1]


def _page(base: str, state: State, words: Words, found: Found | None) -> str:
    link = Html(f'<a href="{words.shown(base)}/simple/">{words.shown(base)}/simple/</a>')
    sections = "\n".join(
        f'<h3>{title}</h3>\n<pre tabindex="0">{words.shown(lines)}</pre>'
        for title, lines in recipes(base, state.newest, words)
    )
    return f"""<!DOCTYPE html>
<html lang="{words.language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{words("title")}</title>
<style>{_STYLE}</style></head>
<body><nav aria-label="{words("language")}">{_languages(words, found)}</nav>
<main><h1>{words("title")}</h1>
<p>{words("about", version=__version__, link=link)}</p>
<section><h2>{words("find.title")}</h2>
{_form(words, found)}
{_found(base, found, words) if found else ""}</section>
<section><h2>{words("served.title")}</h2>
{_served(state, words)}</section>
<section><h2>{words("use.title")}</h2>
{sections}</section>
</main></body></html>
"""


def _languages(words: Words, found: Found | None) -> str:
    asked = {"project": found.project} if found else {}
    return "".join(
        f"<b>{name}</b>"
        if tag == words.language
        else f'<a href="?{words.shown(urlencode({"lang": tag, **asked}))}" lang="{tag}"'
        f' hreflang="{tag}">{name}</a>'
        for tag, name in LANGUAGES.items()
    )


def _form(words: Words, found: Found | None) -> str:
    value = words.shown(found.project if found else "")
    return (
        f'<form role="search"><input type="hidden" name="lang" value="{words.language}">'
        f'<label for="project">{words("find.label")}</label> <input id="project" name="project"'
        f' value="{value}" maxlength="200" required autocapitalize="none" spellcheck="false">'
        f" <button>{words('find.button')}</button></form>"
    )


# --- what is served -----------------------------------------------------------------------------


def _served(state: State, words: Words) -> str:
    rows: list[_Row] = [
        (each.name, _state(each.problem, "state.first", words), each.projects, each.files)
        for each in state.local
    ]
    rows += [
        (each.name, _state(each.problem, "state.turn", words), each.projects, None)
        for each in state.upstreams
    ]
    columns = ("source", "state", "projects", "files")
    parts = [_table(words("served.packages"), columns, rows, words)]
    if state.upstreams:
        parts.append(f"<p>{words('served.note')}</p>")
    rows = [(name, Html(words("state.first"))) for name in state.releases]
    rows += [(each.name, _state(each.problem, "state.need", words)) for each in state.cdns]
    parts.append(_table(words("served.pyodide"), columns[:2], rows, words))
    size, limit = words.size(state.cache.size), words.size(state.cache.limit)
    parts.append(f"<p>{words('cache', size=size, limit=limit, running=state.downloads)}</p>")
    if state.cache.problem:
        parts.append(f"<p>{words('cache.problem')}: {_english(state.cache.problem, words)}</p>")
    parts.append(_left_out(state, words))
    return "\n".join(filter(None, parts))


def _state(problem: str, usual: str, words: Words) -> Html:
    return Html(_english(problem, words) if problem else words(usual))


def _left_out(state: State, words: Words) -> str:
    all_of_it = [
        (path, each.name, why) for each in state.local for path, why in each.left_out.items()
    ]
    if not all_of_it:
        return ""
    shown = all_of_it[:_MOST_LEFT_OUT]
    title = words("out.title", count=len(all_of_it))
    rows = [(path, where, Html(_english(why, words))) for path, where, why in shown]
    table = _table(title, ("file", "source", "out.why"), rows, words)
    more = len(all_of_it) - len(shown)
    rest = f"<p>{words('out.more', count=more)}</p>" if more else ""
    return f"<details><summary>{title}</summary>{table}{rest}</details>"


# --- what was looked up -------------------------------------------------------------------------


def _found(base: str, found: Found, words: Words) -> str:
    parts = [f"<h3>{words.shown(found.project)}</h3>"]
    if found.page is None:
        detail = f": {_english(found.detail, words)}" if found.detail else ""
        parts.append(f'<p role="status">{words(found.outcome)}{detail}</p>')
        if found.similar:
            links = "".join(f"<li>{_link_to(name, words)}</li>" for name in found.similar)
            parts.append(f"<p>{words('find.similar')}</p><ul>{links}</ul>")
        return "\n".join(parts)
    page = found.page
    counted = words(
        "find.from", source=found.source, versions=len(page.versions), files=len(page.files)
    )
    parts.append(f'<p role="status">{counted}</p>')
    if found.only_local:
        parts.append(f"<p>{words('find.local', pattern=found.only_local)}</p>")
    if found.rules:
        parts.append(f"<p>{words('find.rules', rules=', '.join(found.rules))}</p>")
    if page.status:
        status = f"{page.status} {printable(page.status_reason)}".strip()
        parts.append(f"<p>{words('find.status', status=status)}</p>")
    files = newest_files(page)
    rows = [_file_row(base, found.project, *each, words) for each in files]
    columns = ("file", "version", "size", "python", "uploaded")
    parts.append(_table(words("find.files", project=found.project), columns, rows, words))
    link = f'<a href="{words.shown(base)}/simple/{found.project}/">{words("find.page")}</a>'
    if len(files) < len(page.files):
        link = words("find.more", shown=len(files), link=Html(link))
    parts.append(f"<p>{link}</p>")
    return "\n".join(parts)


def _file_row(base: str, project: str, version: str, file: File, words: Words) -> _Row:
    link = (
        f'<a href="{words.shown(base + file_path(file, project))}">{words.shown(file.filename)}</a>'
    )
    if file.yanked is not False:
        why = f": {_english(printable(file.yanked), words)}" if isinstance(file.yanked, str) else ""
        link += f" ({words('yanked')}{why})"
    size = "" if file.size is None else words.size(file.size)
    return Html(link), version, size, file.requires_python or "", (file.upload_time or "")[:10]


def _link_to(name: str, words: Words) -> str:
    query = urlencode({"lang": words.language, "project": name})
    return f'<a href="?{words.shown(query)}">{words.shown(name)}</a>'


# --- parts --------------------------------------------------------------------------------------


def _table(title: str, columns: Iterable[str], rows: Iterable[_Row], words: Words) -> str:
    """A table; ``title`` is HTML, ``columns`` are keys of words. Nothing where there is no row."""
    lines = [f"<tr>{''.join(_cells(row, words))}</tr>" for row in rows]
    if not lines:
        return ""
    heads = "".join(f'<th scope="col">{words(column)}</th>' for column in columns)
    body = "\n".join(lines)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f"<table><caption>{title}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>"
        f"{body}</tbody></table></div>"
    )


def _cells(row: _Row, words: Words) -> Iterator[str]:
    for number, cell in enumerate(row):
        shown = "" if cell is None else words.shown(cell)
        if number == 0:
            yield f'<th scope="row">{shown}</th>'
        elif isinstance(cell, int):
            yield f'<td class="n">{shown}</td>'
        else:
            yield f"<td>{shown}</td>"


def _english(text: str, words: Words) -> str:
    """What the server says in English only."""
    shown = words.shown(text)
    return shown if words.language == "en" else f'<span lang="en">{shown}</span>'
