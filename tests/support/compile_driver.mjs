// Runs a Python file in the Pyodide of a distribution, which Python sees as /dist.
//
// node compile_driver.mjs DIST FILE [NAME=VALUE]...: with these in Python's environment.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [dist, file, ...variables] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${dist}/pyodide.mjs`));
const pyodide = await loadPyodide({
  env: Object.fromEntries(variables.map((each) => each.split("="))),
});
pyodide.mountNodeFS("/dist", dist);
pyodide.runPython(readFileSync(file, "utf8"));
