"""The page's Python: it runs in Pyodide and exchanges JSON with the page's JavaScript."""

import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pyodide_mirror
from pyodide_mirror import CDN, CDNOutcome, Event, InstallReport, Mirror, Outcome, Report
from pyodide_mirror.model import HostKind, host_kind
from pyodide_mirror.probing import UNUSABLE, rank, tier

Tell = Callable[[str], object]
"""A function of the page that takes JSON."""

_outcomes: dict[str, Outcome] = {}
"""The newest verdicts on mirrors, by index URL."""
_cdns: dict[str, CDNOutcome] = {}
"""Those on CDNs, by base URL."""
_installs: list[str] = []
"""The result of each install, as text."""


def about() -> str:
    """Return the versions of what runs here."""
    names = ("micropip", "pyodide_mirror")
    return json.dumps(
        {"python": platform.python_version(), **{name: version(name) for name in names}}
    )


def known() -> str:
    """Return the mirrors of the built-in table."""
    return json.dumps([_shown(mirror) for mirror in pyodide_mirror.MIRRORS])


def read_mirror(url: str) -> str:
    """Return a mirror by its URL, or ``{"problem": why not}``."""
    try:
        return json.dumps(_shown(Mirror(url)))
    except ValueError as error:
        return json.dumps({"problem": str(error)})


def _shown(mirror: Mirror) -> dict[str, Any]:
    url = mirror.index_url
    return {"url": url, "name": mirror.name, "private": host_kind(url) is not HostKind.PUBLIC}


async def probe(settings: str, tell: Tell) -> str:
    """Probe the mirrors and CDNs of the settings.

    ``tell`` is called with each verdict on a mirror as it arrives. The result is the best mirror of
    these and of those probed before, unless forgotten, and the verdicts on the CDNs.
    """
    given = json.loads(settings)

    def on_outcome(outcome: Outcome) -> None:
        (told,) = Report(None, (outcome,)).to_dict()["outcomes"]
        tell(json.dumps(told))

    canary = {"canary": given["canary"]} if given["canary"] else {}
    report = await pyodide_mirror.probe(
        _mirrors(given),
        cdns=[CDN(one["url"], name=one["name"]) for one in given["cdns"]] or None,
        timeout=given["timeout"],
        on_outcome=on_outcome,
        **canary,
    )
    _outcomes.update({outcome.mirror.index_url: outcome for outcome in report.outcomes})
    _cdns.update({outcome.cdn.base_url: outcome for outcome in report.cdns})
    told = report.to_dict()["cdns"]
    return json.dumps({"chosen": _report().to_dict()["chosen"], "cdns": told})


def forget(url: str) -> str:
    """Drop the verdict on a mirror; the result is that of `probe`, without CDNs."""
    _outcomes.pop(url, None)
    return json.dumps({"chosen": _report().to_dict()["chosen"]})


async def install(settings: str, requirement: str, tell: Tell) -> str:
    """Install through the mirrors of the settings, the best first.

    ``tell`` is called with each event. Whatever goes wrong comes back as ``{"error": type, "text":
    message}``.
    """
    given = json.loads(settings)

    def on_event(event: Event) -> None:
        tell(json.dumps(event.to_dict()))

    canary = {"canary": given["canary"]} if given["canary"] else {}
    try:
        done = await pyodide_mirror.install(
            requirement,
            mirrors=_best_first(_mirrors(given)),
            timeout=given["timeout"],
            on_event=on_event,
            **canary,
        )
    except Exception as error:  # noqa: BLE001  # whatever it is, the page shows it
        text = "\n".join([str(error), *getattr(error, "__notes__", ())])
        _installs.append(f"{requirement}: {type(error).__name__}: {text}")
        return json.dumps({"error": type(error).__name__, "text": text})
    _installs.append(f"{requirement}: installed\n{_told(done)}")
    return json.dumps(done.to_dict())


def report() -> str:
    """Return the verdicts and the results of the installs, as text."""
    return "\n\n".join([str(_report()), *_installs])


def draw(sizes: str, width: int, palette: str) -> str:
    """Draw kilobytes by package as an SVG image of that width in pixels, by pygal."""
    # Only there once the page has installed it, and never on the host.
    import pygal  # type: ignore[import-not-found]

    packages = sorted(json.loads(sizes).items(), key=lambda package: package[1])
    chart = pygal.HorizontalBar(
        style=_style(json.loads(palette)),
        # The number stands beside the end of its bar, and not across it.
        css=("file://style.css", "file://graph.css", f"inline:{_BESIDE}"),
        width=width,
        height=20 + 32 * len(packages),
        explicit_size=True,
        js=(),  # pygal's default is a script from elsewhere
        margin=0,
        rounded_bars=3,
        show_legend=False,
        show_x_labels=False,  # those of the values: a horizontal bar chart is a turned one
        show_x_guides=False,
        show_y_guides=False,
        print_values=True,
        print_values_position="top",
        value_formatter=lambda kilobytes: f"{kilobytes:,.0f} kB",
        # Room for the longest bar's number.
        range=(0, packages[-1][1] / 1000 / (1 - 80 / max(width - 150, 160))),
    )
    chart.x_labels = [name for name, _ in packages]
    chart.add("kB", [size / 1000 for _, size in packages])
    return str(chart.render(is_unicode=True))


_BESIDE = "{{ id }}.text-overlay text { text-anchor: start; transform: translateX(8px); }"


def _style(colors: dict[str, str]) -> Any:
    from pygal.style import Style  # type: ignore[import-not-found]

    font = "system-ui, sans-serif"
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground=colors["text"],
        foreground_strong=colors["text"],
        foreground_subtle=colors["text"],
        opacity=1,
        colors=(colors["bar"],),
        value_colors=(colors["text"],),
        font_family=font,
        value_font_family=font,
        label_font_size=13,
        value_font_size=13,
    )


def drawn_by() -> str:
    """Return the name and version of the library that draws."""
    return f"pygal {version('pygal')}"


def _mirrors(settings: dict[str, Any]) -> list[Mirror]:
    return [Mirror(one["url"], name=one["name"]) for one in settings["mirrors"]]


def _report() -> Report:
    """All verdicts, and the best mirror, which the page recommends."""
    ranked = rank(_outcomes.values())
    usable = (outcome.mirror for outcome in ranked if tier(outcome) < UNUSABLE)
    return Report(next(usable, None), ranked, cdns=tuple(_cdns.values()))


def _best_first(mirrors: list[Mirror]) -> list[Mirror]:
    """The mirrors in the order of their verdicts, the one that the page recommends first."""
    urls = [outcome.mirror.index_url for outcome in _report().outcomes]
    places = {url: place for place, url in enumerate(urls)}
    return sorted(mirrors, key=lambda mirror: places.get(mirror.index_url, len(places)))


def _told(done: InstallReport) -> str:
    table = str(done).partition("\n\n")[0]  # the mirrors follow, which are shown above
    return "\n".join([table, *(f"  {event.kind}: {event.text}" for event in done.events)])
