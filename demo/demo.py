"""The page's Python. It runs in Pyodide and speaks JSON with ``demo.js``."""

import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pyodide_mirror
from pyodide_mirror import Event, Mirror, Outcome, Report

Tell = Callable[[str], object]
"""A function of the page that takes JSON."""

_best_first: list[Mirror] = []
"""The mirrors as the last probe ranked them: the one the page names is to be used."""


async def probe(settings: str, tell: Tell) -> str:
    """Probe the mirrors of the settings; ``tell`` is called with each verdict as it arrives."""
    given = json.loads(settings)

    def on_outcome(outcome: Outcome) -> None:
        tell(json.dumps(_row(outcome)))

    report = await pyodide_mirror.probe(
        _mirrors(given), timeout=given["timeout"], on_outcome=on_outcome
    )
    _best_first[:] = [outcome.mirror for outcome in report.outcomes]
    return json.dumps({**report.to_dict(), "text": str(report)})


async def install(settings: str, requirement: str, tell: Tell) -> str:
    """Install through a mirror of the settings; ``tell`` is called with each event.

    Whatever goes wrong comes back as ``{"error": type, "text": message}``.
    """
    given = json.loads(settings)

    def on_event(event: Event) -> None:
        tell(json.dumps(event.to_dict()))

    try:
        done = await pyodide_mirror.install(
            requirement,
            mirrors=_best_first or _mirrors(given),
            timeout=given["timeout"],
            on_event=on_event,
        )
    except Exception as error:  # noqa: BLE001  # whatever it is, the page shows it
        return json.dumps({"error": type(error).__name__, "text": str(error)})
    return json.dumps({**done.to_dict(), "text": str(done)})


def draw(sizes: str, width: int, palette: str) -> str:
    """Draw kilobytes by package as an SVG image of that width in pixels, by pygal."""
    # Not there before the page has installed it, and never on the host.
    import pygal  # type: ignore[import-not-found]
    from pygal.style import Style  # type: ignore[import-not-found]

    packages = sorted(json.loads(sizes).items(), key=lambda package: package[1])
    colors = json.loads(palette)
    font = "system-ui, sans-serif"
    style = Style(
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
    chart = pygal.HorizontalBar(
        style=style,
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


def drawn_by() -> str:
    """Return what draws, and its version."""
    return f"pygal {version('pygal')}"


def _mirrors(settings: dict[str, Any]) -> list[Mirror]:
    return [Mirror(one["url"], name=one["name"]) for one in settings["mirrors"]]


def _row(outcome: Outcome) -> dict[str, Any]:
    (row,) = Report(None, (outcome,)).to_dict()["outcomes"]
    return {**row, "explanation": outcome.reason.explanation}
