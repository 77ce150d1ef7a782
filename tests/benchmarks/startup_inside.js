// A function that takes steps in a page in which nothing is but Pyodide (lists of wheels to load, and
// Python) and returns the milliseconds of each part; where a step fails, the reason as text.
async (pyodide, importTimes, steps) => {
  // Milliseconds between two moments in which a request was under way, and nothing was imported.
  function waiting(start, end, imports) {
    const edges = [];
    for (const { startTime, responseEnd } of performance.getEntriesByType("resource")) {
      if (responseEnd > start) edges.push([Math.max(startTime, start), 0, 1], [responseEnd, 0, -1]);
    }
    for (const [from, to] of imports) edges.push([from, 1, 1], [to, 1, -1]);
    edges.sort((one, other) => one[0] - other[0]);
    const depth = [0, 0];
    let total = 0;
    let last = start;
    for (const [moment, kind, step] of edges) {
      const until = Math.min(moment, end);
      if (depth[0] && !depth[1]) total += Math.max(0, until - last);
      last = until;
      depth[kind] += step;
    }
    return total;
  }

  const globals = pyodide.toPy({});
  pyodide.runPython(importTimes, { globals });
  const times = globals.get("import_times");
  const start = performance.now();
  let loaded = start;
  try {
    for (const step of steps) {
      if (Array.isArray(step)) {
        await pyodide.loadPackage(step, { messageCallback: () => {} });
        times.start();
        loaded = performance.now();
      } else {
        await pyodide.runPythonAsync(step);
      }
    }
  } catch (error) {
    return String(error).trim().split("\n").at(-1) || "failed";
  }
  const end = performance.now();
  const { micropip, ours } = times.by_owner.toJs({ dict_converter: Object.fromEntries });
  const network = waiting(loaded, end, times.spans.toJs());
  const rest = end - loaded - micropip - ours - network;
  return [loaded - start, micropip, ours, network, rest];
};
