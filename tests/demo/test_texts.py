import json
import re
from pathlib import Path
from typing import get_args

from demo import site
from pyodide_mirror import Reason
from pyodide_mirror.reporting import EventKind

PAGE = Path(site.__file__).parent
TEXTS = json.loads((PAGE / "texts.json").read_text("utf-8"))
LANGUAGES = ("en", "zh-CN", "es")
SOURCES = {path.name: path.read_text("utf-8") for path in (*PAGE.glob("*.js"), PAGE / "index.html")}


def used() -> set[str]:
    """Return the keys that the page says, those with a part that varies spelled out."""
    everything = "\n".join(SOURCES.values())
    quoted = set(re.findall(r"""["']([a-z]+(?:[.-][a-z]+)*)["']""", everything))
    stems = set(re.findall(r"`([a-z]+)\.\$\{", everything))
    return (quoted & TEXTS["en"].keys()) | {
        key for key in TEXTS["en"] if key.partition(".")[0] in stems
    }


def test_there_are_three_languages_and_the_page_offers_them() -> None:
    offered = re.findall(r'<option value="([^"]+)" lang="\1">', SOURCES["index.html"])
    assert tuple(TEXTS) == tuple(offered) == LANGUAGES


def test_a_language_has_every_text_with_the_same_blanks() -> None:
    for language in LANGUAGES:
        assert TEXTS[language].keys() == TEXTS["en"].keys(), language
        for key, text in TEXTS[language].items():
            assert text.strip() == text != "", (language, key)
            blanks = [re.findall(r"\{\w+\}", each) for each in (text, TEXTS["en"][key])]
            assert sorted(blanks[0]) == sorted(blanks[1]), (language, key)


def test_every_verdict_is_explained_in_other_words_than_english() -> None:
    for reason in Reason:
        for part in ("explanation", "advice"):
            key = f"reason.{reason}.{part}"
            assert TEXTS["en"][key] == getattr(reason, part), key
            for language in ("zh-CN", "es"):
                assert TEXTS[language][key] != TEXTS["en"][key], (language, key)


def test_every_kind_of_event_has_a_text_and_no_other_has() -> None:
    kinds = {key.removeprefix("event.") for key in TEXTS["en"] if key.startswith("event.")}
    assert kinds == set(get_args(EventKind))


def test_the_page_says_no_key_that_is_not_there_and_every_one_that_is() -> None:
    named = set(re.findall(r'data-(?:\w+-)?text="([^"]+)"', SOURCES["index.html"]))
    said = set(re.findall(r'say\([^"`]*?,\s*"([^"]+)"', "\n".join(SOURCES.values())))
    assert (named | said) <= TEXTS["en"].keys()
    assert TEXTS["en"].keys() - used() == set()
