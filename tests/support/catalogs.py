"""The texts of the front-end extension in its languages: ``python -m tests.support.catalogs``.

Translators edit ``labextension/locale/LANGUAGE/LC_MESSAGES/pyodide_mirror.po``. Run this after a
text was changed: it takes all texts from the sources into the template ``pyodide_mirror.pot`` and
into each of those files, in which those without a translation are empty. A build makes JSON of
them, which JupyterLab reads. Texts and settings are found by JupyterLab's own rules (those of
``jupyterlab-translate``); what a kernel says is taken from the package.
"""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from pyodide_mirror import CDN, Reason
from pyodide_mirror.model import File, Finding
from pyodide_mirror.probing.verdict import check_bytes
from pyodide_mirror.runtime.check import outcome_of
from pyodide_mirror.transport import Response
from tests.support import provision

DOMAIN: Final = "pyodide_mirror"
SOURCE: Final = provision.ROOT / "labextension"
LOCALE: Final = SOURCE / "locale"
TEMPLATE: Final = LOCALE / f"{DOMAIN}.pot"
_KEYWORDS: Final[dict[str, Any]] = {
    "__": None,
    "_n": (1, 2),
    "_p": ((1, "c"), 2),
    "_np": ((1, "c"), 2, 3),
}
_HEADER: Final = "# The texts of pyodide_mirror in JupyterLite. Its license is MIT."
_CONTEXT_END: Final = "\x04"
"""What gettext has between a context and a text."""

Key = tuple[str | None, str]
"""A context, if any, and a text."""


def extracted() -> Catalog:
    """All texts of the sources, without translations."""
    catalog = Catalog(project=DOMAIN, header_comment=_HEADER, fuzzy=False)
    found = extract_from_dir(
        SOURCE / "src",
        method_map=[("**.ts", "javascript")],
        options_map={"**.ts": {"parse_template_string": "true"}},
        keywords=_KEYWORDS,
    )
    for name, _, text, _, context in found:
        catalog.add(text, locations=[(f"src/{name}", 0)], context=context)
    for context, text in _of_schema():
        catalog.add(text, locations=[("schema/plugin.json", 0)], context=context)
    for reason in Reason:
        comment = f"Say what this verdict means: {reason.explanation}"
        catalog.add(str(reason), auto_comments=[comment], context="verdict")
    for reason in _OWN_OF_CDNS:
        comment = f"Say what this verdict means for a CDN: {_OWN_OF_CDNS[reason]}"
        catalog.add(str(reason), auto_comments=[comment], context="verdict of a CDN")
    for hint in dict.fromkeys(_hints()):
        catalog.add(hint, auto_comments=["A kernel says what to do about a verdict."])
    return catalog


def _of_schema() -> Iterator[tuple[str, str]]:
    schema = json.loads((SOURCE / "schema" / "plugin.json").read_text())
    for context, described in [
        ("schema", schema),
        *(("settings", each) for each in schema["properties"].values()),
    ]:
        yield from ((context, described[name]) for name in ("title", "description"))


_OWN_OF_CDNS: Final = {
    Reason.OK: "One of Pyodide's packages was read, and its digest matches.",
    Reason.CORS: "The CDN answers, but does not allow this page to read the answer (CORS).",
    Reason.HTTP_STATUS: "The CDN answers with an HTTP error.",
    Reason.NOT_AN_INDEX: "The answer is an HTML page, and not the package.",
    Reason.MALFORMED: "The answer cannot be the package.",
    Reason.HASH_MISMATCH: "A file is not what Pyodide's lock file says: its SHA-256 differs.",
    Reason.CSP: "This page's own Content-Security-Policy forbids the CDN.",
    Reason.MIXED_CONTENT: "An https page may not read from an http CDN.",
    Reason.BAD_URL: "This is not a usable base URL.",
}
"""What a verdict says of a CDN, where it says something else of a mirror."""


def _hints() -> Iterator[str]:
    """What kernels say is to be done, where all is well they say nothing."""
    cdn = CDN("https://cdn.example/{version}/")
    for reason in Reason:
        yield reason.advice
        yield outcome_of(cdn, Finding(reason, "")).hint
    file = File(filename="x-1.whl", url="https://mirror.example/x-1.whl", hashes={})
    if finding := check_bytes(file, Response(file.url, 500)):
        yield finding.hint.replace("HTTP 500", "%1")


def catalogs() -> dict[str, Catalog]:
    """The translations by their language, as the folders are called: ``es``, ``zh_CN``."""
    return {path.parents[1].name: _read(path) for path in sorted(LOCALE.glob("*/*/*.po"))}


def template() -> Catalog:
    """The template, as it was made last."""
    return _read(TEMPLATE)


def texts(catalog: Catalog) -> dict[Key, Message]:
    """The texts of a catalog."""
    return {(each.context, _first(each)): each for each in catalog if each.id}


def forms(translation: Any) -> list[str]:
    """A text, or all its plural forms."""
    return [translation] if isinstance(translation, str) else list(translation)


def _first(message: Message) -> str:
    return forms(message.id)[0]


def compile_into(folder: Path) -> None:
    """Write what JupyterLab reads: ``LANGUAGE/LC_MESSAGES/pyodide_mirror.json``."""
    for language, catalog in catalogs().items():
        path = folder / language / "LC_MESSAGES" / f"{DOMAIN}.json"
        path.parent.mkdir(parents=True)
        text = json.dumps(compiled(language, catalog), ensure_ascii=False)
        path.write_text(text, encoding="utf-8")


def compiled(language: str, catalog: Catalog) -> dict[str, Any]:
    """A catalog as JupyterLab reads it (Jed 2)."""
    result: dict[str, Any] = {
        "": {
            "domain": DOMAIN,
            "language": language.replace("_", "-"),
            "plural_forms": catalog.plural_forms,
        }
    }
    for (context, text), message in texts(catalog).items():
        found = forms(message.string)
        # JupyterLab takes what has a plural from a list of several alone.
        padding = [""] if message.pluralizable and len(found) == 1 else []
        if all(found) and not message.fuzzy:
            key = f"{context}{_CONTEXT_END}{text}" if context else text
            result[key] = [*found, *padding]
    return result


def update() -> None:
    """Write the template and the texts of all languages anew, where the sources have others."""
    new = extracted()
    _write(TEMPLATE, new)
    for language, catalog in catalogs().items():
        catalog.update(new, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        _write(LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po", catalog)


def _read(path: Path) -> Catalog:
    language = None if path == TEMPLATE else path.parents[1].name
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN, abort_invalid=True)


def _write(path: Path, catalog: Catalog) -> None:
    """Write it without what says nothing here, or changes though no text does: lines and dates."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=100, sort_by_file=False, include_lineno=False)
    lines = buffer.getvalue().decode().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(_CHANGING)]
    path.write_text("".join(kept), encoding="utf-8")


_CHANGING: Final = (
    *('"POT-Creation-Date', '"PO-Revision-Date', '"Generated-By', '"Last-Translator'),
    *('"Language-Team', '"Report-Msgid-Bugs-To'),
)


def main() -> int:
    """Update all files; say what is to be translated, of which the exit code is whether."""
    update()
    missing = [
        f"{language}: {_first(message)}"
        for language, catalog in catalogs().items()
        for message in texts(catalog).values()
        if not all(forms(message.string))
    ]
    print("\n".join(missing), file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
