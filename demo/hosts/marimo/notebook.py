# ruff: noqa: ANN001, ANN202, B018, D100, N806, PLR1711
# mypy: ignore-errors
# /// script
# dependencies = [
#     "marimo",
#     "pyodide-mirror @ ./pyodide_mirror-0.1.0-py3-none-any.whl",
# ]
# ///
import marimo

app = marimo.App()


@app.cell
async def _():
    import pyodide_mirror

    # Index URLs, the preferred one first; none: the mirrors that pyodide_mirror knows.
    MIRRORS = ["https://mirror.example/simple", "https://other.example/simple"]

    report = await pyodide_mirror.install(
        "pygal", mirrors=MIRRORS or None, on_event=pyodide_mirror.show_progress()
    )
    report
    return (report,)


@app.cell
def _(report):
    import marimo as mo
    import pygal

    chart = pygal.Bar(title="Drawn by pygal")
    chart.add("packages installed", [len(report.installed)])
    mo.image(chart.render_data_uri(), alt="A bar chart")
    return


if __name__ == "__main__":
    app.run()
