// Pyodide and our wheel lie beside this file.
import { loadPyodide } from "./pyodide/pyodide.mjs";

const WHEEL = "./pyodide_mirror-0.1.0-py3-none-any.whl";
// Index URLs, the preferred one first; none: the mirrors that pyodide_mirror knows.
const MIRRORS = ["https://mirror.example/simple", "https://other.example/simple"];

try {
  const pyodide = await loadPyodide({
    env: { PYODIDE_MIRROR_URLS: MIRRORS.join(" ") },
    packages: ["micropip", "packaging", WHEEL],
  });
  const result = await pyodide.runPythonAsync(`
    import pyodide_mirror

    report = await pyodide_mirror.install("pygal")

    import pygal

    chart = pygal.Bar(title="Drawn by pygal")
    chart.add("packages installed", [len(report.installed)])
    {"report": str(report), "chart": chart.render_data_uri()}
  `);
  postMessage(result.toJs({ dict_converter: Object.fromEntries }));
} catch (error) {
  postMessage({ error: error.message });
}
