import json
from pathlib import Path

import pytest

from tests.hosts.stage import USABLE, browsing, mirrors, prepare
from tests.jupyterlite import sites
from tests.jupyterlite.browser import address
from tests.support.compiled import compiled
from tests.support.pages import PageServer

# The chart as the notebook shows it; its text is of JupyterLab's own size of image.
CHART = """
    const image = document.querySelector(".jp-RenderedSVG img");
    await image.decode();
    return image.naturalWidth;
"""


@pytest.mark.nightly
def test_the_notebook_of_a_jupyterlite_site_installs_from_a_mirror_that_works(
    tmp_path: Path,
) -> None:
    with mirrors() as urls:
        folder = prepare("jupyterlite", tmp_path / "site", urls)
        (folder / "static").mkdir()
        (folder / "static" / "pyodide").symlink_to(compiled(sites.kernel_dist()))
        # So that the test can run the cells.
        (folder / "jupyter-lite.json").write_text(
            json.dumps(
                {
                    "jupyter-lite-schema-version": 0,
                    "jupyter-config-data": {"exposeAppInBrowser": True},
                }
            )
        )
        site = sites.built(folder)
        with PageServer(site) as server, browsing() as browser:
            url = address(server.base_url(), "notebooks", path="chart.ipynb")
            with browser.open(url) as page:
                install, chart, table = page.run_notebook("chart.ipynb")
                width = page.run_js(CHART)
    hosts = [urls[name].removeprefix("http://").removesuffix("/simple") for name in USABLE]
    assert any(f"installs through {host} (" in install for host in hosts), install
    assert "SVG object" in chart
    assert width > 0
    assert any(f"*  {host}" in table for host in hosts), table
