// node install.mjs: pygal through a mirror that works, and a chart in chart.svg.
import { writeFile } from "node:fs/promises";
import { loadPyodide } from "pyodide";

// Our wheel, beside this file.
const WHEEL = new URL("./pyodide_mirror-0.1.0-py3-none-any.whl", import.meta.url).href;
// Index URLs, the preferred one first; none: the mirrors that pyodide_mirror knows.
const MIRRORS = ["https://mirror.example/simple", "https://other.example/simple"];

const pyodide = await loadPyodide({
  env: { PYODIDE_MIRROR_URLS: MIRRORS.join(" ") },
  packages: ["micropip", "packaging", WHEEL],
});
const svg = await pyodide.runPythonAsync(`
  import pyodide_mirror

  report = await pyodide_mirror.install("pygal")
  print(report)

  import pygal

  chart = pygal.Bar(title="Drawn by pygal")
  chart.add("packages installed", [len(report.installed)])
  chart.render(is_unicode=True)
`);
await writeFile("chart.svg", svg);
