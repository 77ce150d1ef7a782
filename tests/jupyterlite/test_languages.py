"""The front-end extension in the languages that a site has packs for."""

# ruff: noqa: RUF001  # Chinese has marks of its own

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jupyterlite.browser import UNTIL, Browser, Page, address
from tests.jupyterlite.pictures import NOTEBOOK, site, speak
from tests.support.pages import PageServer

CHINESE = {
    "idle": "第一次需要镜像的安装会寻找一个可用的镜像",
    "status": "软件包镜像: pypi.corp.example. 软件包来自 pypi.corp.example（ok）",
    "panel": {
        "lang": "zh-CN",
        "heading": "软件包镜像",
        "meaning": "镜像有回答，但不允许本页面读取（CORS）。",
        "hint": "其运营者应发送 'Access-Control-Allow-Origin: *'；在此之前请使用其他镜像。",
        "buttons": ["使用", "上移", "下移", "移除"],
    },
    "size": r"缓存：\d+ 个文件，共 \d+ kB",
    "commands": ["软件包镜像", "显示软件包镜像", "检测所有软件包镜像", "清空软件包缓存"],
    "settings": ["软件包镜像", "镜像", "CDN", "镜像必须在多少秒内回答。", "记住镜像"],
}
SPANISH = {
    "idle": "La primera instalación que necesite un espejo buscará uno",
    "status": "Espejos de paquetes: pypi.corp.example."
    " Los paquetes vienen de pypi.corp.example (ok)",
    "panel": {
        "lang": "es-ES",
        "heading": "Espejos de paquetes",
        "meaning": "El espejo responde, pero no permite que esta página lea la respuesta (CORS).",
        "hint": "Su operador debería enviar 'Access-Control-Allow-Origin: *';"
        " mientras tanto, use otro espejo.",
        "buttons": ["Usar", "Subir", "Bajar", "Quitar"],
    },
    "size": r"Caché: \d+ kB en \d+ archivos",
    "commands": ["Espejos de paquetes", "Mostrar los espejos de paquetes"],
    "settings": ["Espejos de paquetes", "Espejos", "Tiempo de espera", "Recordar el espejo"],
}
_TESTED = """
    const item = await until(() => document.querySelector(".pm-status button"));
    await until(() => item.ariaLabel.endsWith(args[0]));
    item.click();
    const panel = await until(() => document.querySelector(".pm-panel"));
    await until(() => panel.querySelector(".pm-item"));
    await window.jupyterapp.commands.execute("pyodide-mirror:probe");
    await until(() => item.ariaLabel.endsWith(args[0]));
    return {
        health: item.querySelector(".pm-dot").dataset.health,
        mirrors: panel.querySelectorAll(".pm-detail").length,
    };"""
_PANEL = """
    const item = await until(() => document.querySelector(".pm-status button"));
    await until(() => item.ariaLabel === args[0]);
    const panel = await until(() => document.querySelector(".pm-panel"));
    await until(() => panel.ariaBusy === "false" && panel.querySelector(".pm-hint"));
    const text = (selector) => panel.querySelector(selector).innerText;
    const buttons = [...panel.querySelector(".pm-item").querySelectorAll("button")];
    return {
        lang: document.documentElement.lang,
        heading: text("h2"),
        meaning: text(".pm-meaning"),
        hint: text(".pm-hint"),
        buttons: buttons.map((each) => each.title || each.innerText),
        size: text(".pm-size"),
    };"""
_COMMANDS = """
    await window.jupyterapp.commands.execute("apputils:activate-command-palette");
    const palette = await until(() => document.querySelector("#command-palette"));
    const texts = () => [...palette.querySelectorAll(
        ".lm-CommandPalette-itemLabel, .lm-CommandPalette-header")].map((each) => each.innerText);
    await until(() => args[0].every((each) => texts().includes(each)));
    return true;"""
_SETTINGS = """
    await window.jupyterapp.commands.execute("settingeditor:open");
    const editor = await until(() => document.querySelector("#setting-editor"));
    const ours = () => editor.querySelector('[data-id="pyodide-mirror:plugin"]');
    (await until(ours)).click();
    const shown = () => editor.innerText.split("\\n").map((each) => each.trim());
    await until(() => args[0].every((each) => shown().includes(each)));
    return true;"""


@pytest.fixture(scope="module")
def output() -> Iterator[Path]:
    """A folder with a site in three languages, whose three mirrors run."""
    with site() as output:
        yield output


@pytest.fixture
def base(output: Path) -> Iterator[str]:
    """The address of the site, on an origin for which the browser has stored nothing."""
    with PageServer(output) as server:
        yield server.base_url()


def run_js(page: Page, body: str, *arguments: Any) -> Any:
    return page.run_js(f"{UNTIL}\n{body}", *arguments)


@pytest.mark.nightly
@pytest.mark.parametrize("language", ["zh_CN", "es_ES"])
def test_panel_status_item_commands_and_settings_are_in_the_language_of_the_page(
    browser: Browser, base: str, language: str
) -> None:
    expected: dict[str, Any] = CHINESE if language == "zh_CN" else SPANISH
    url = address(base, "lab", path=NOTEBOOK)
    with browser.open(url) as page:
        speak(page, language)
    with browser.open(url) as page:
        # Mirrors have been tested, and none is in use yet.
        idle = run_js(page, _TESTED, expected["idle"])
        assert idle == {"health": "idle", "mirrors": 3}
        page.run_notebook(NOTEBOOK)
        shown = run_js(page, _PANEL, expected["status"])
        assert re.fullmatch(expected["size"], shown.pop("size"))
        assert shown == expected["panel"]
        assert run_js(page, _COMMANDS, expected["commands"])
        assert run_js(page, _SETTINGS, expected["settings"])
