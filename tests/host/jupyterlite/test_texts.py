"""The texts of the front-end extension: what is extracted, and what translators have made of it."""

import json
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from demo import site
from pyodide_mirror import Reason
from tests.support import catalogs

CATALOGS = catalogs.catalogs()
LANGUAGES = ("es", "zh_CN")
VERDICTS = ("verdict", "verdict of a CDN")
"""What is translated there is the explanation of a verdict, and not its name."""
DEMO = json.loads((Path(site.__file__).parent / "texts.json").read_text("utf-8"))
TERMS = {
    "es": {"mirror": "espejo", "package": "paquete", "index": "índice", "kernel": "núcleo"},
    "zh_CN": {"mirror": "镜像", "package": "软件包", "index": "索引", "kernel": "内核"},
}
"""The words of the documentation and of the demonstration."""

_URL = r"https://[\w./{}]+\w/?"


def blanks(text: str) -> list[str]:
    """What is filled in, or must be written as it is."""
    return sorted(re.findall(rf"%\d+|\{{\w+\}}|{_URL}|PYODIDE_\w+", text))


def test_there_are_these_languages() -> None:
    assert tuple(CATALOGS) == LANGUAGES


def test_the_template_has_the_texts_of_the_sources() -> None:
    texts, made = (catalogs.texts(each) for each in (catalogs.extracted(), catalogs.template()))
    assert texts.keys() == made.keys(), "run python -m tests.support.catalogs"
    assert [each.id for each in texts.values()] == [each.id for each in made.values()]
    assert (None, "Package mirrors") in texts
    assert ("settings", "Mirrors") in texts
    assert ("verdict", "cors") in texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_with_the_same_blanks(language: str) -> None:
    catalog = CATALOGS[language]
    texts = catalogs.texts(catalog)
    assert texts.keys() == catalogs.texts(catalogs.template()).keys()
    assert not catalog.obsolete
    for key, message in texts.items():
        assert not message.fuzzy, key
        translations = catalogs.forms(message.string)
        assert len(translations) == (catalog.num_plurals if message.pluralizable else 1), key
        sources = catalogs.forms(message.id)
        for place, text in enumerate(translations):
            assert text.strip() == text != "", key
            source = sources[min(place, len(sources) - 1)]
            if message.context not in VERDICTS:
                assert blanks(text) == blanks(source), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_those_of_the_documentation(language: str) -> None:
    for message in catalogs.texts(CATALOGS[language]).values():
        source, text = (catalogs.forms(each)[0] for each in (message.id, message.string))
        if source not in DEMO["en"].values() and message.context not in VERDICTS:
            for word, expected in TERMS[language].items():
                if re.search(rf"\b{word}s?\b", re.sub(_URL, "", source), re.IGNORECASE):
                    assert expected in text.lower(), (source, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_verdict_is_told_in_the_words_of_the_demonstration(language: str) -> None:
    words = DEMO[language.replace("_", "-")]
    texts = catalogs.texts(CATALOGS[language])
    for reason in Reason:
        assert texts["verdict", str(reason)].string == words[f"reason.{reason}.explanation"]
        assert texts[None, reason.advice].string == words[f"reason.{reason}.advice"]
        for context, key, part in (
            ("verdict of a CDN", str(reason), "explanation"),
            (None, DEMO["en"].get(f"cdn.{reason}.advice"), "advice"),
        ):
            if f"cdn.{reason}.{part}" in words:
                assert texts[context, key].string == words[f"cdn.{reason}.{part}"]


def test_jupyterlab_gets_plurals_as_lists_of_several_and_no_text_that_is_missing() -> None:
    catalog = Catalog(locale="zh_CN")
    catalog.add("Done", "完成")
    catalog.add("Later", "")
    catalog.add("Perhaps", "也许", flags=["fuzzy"])
    catalog.add("Use", "使用", context="menu")
    catalog.add(("%1 file", "%1 files"), ("%1 个文件",))
    assert catalogs.compiled("zh_CN", catalog) == {
        "": {
            "domain": "pyodide_mirror",
            "language": "zh-CN",
            "plural_forms": "nplurals=1; plural=0;",
        },
        "Done": ["完成"],
        "menu\x04Use": ["使用"],
        "%1 file": ["%1 个文件", ""],
    }
