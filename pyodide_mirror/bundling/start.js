// The page of a bundle: starts Python, runs what is typed, and shows how to use what is here.
const BUNDLE = {};

const here = new URL(".", location.href).href.replace(/\/$/, "");
const find = (id) => document.getElementById(id);

function print(text) {
	const output = find("output");
	output.textContent += text;
	output.scrollTop = output.scrollHeight;
}

/** Start Python; rejected with an error that says what is wrong with which file. */
async function start(onProgress) {
	const [{ loadPyodide }, lockFileContents] = await Promise.all([
		import(`${here}/pyodide/pyodide.mjs`),
		readLock("pyodide-lock.json"),
	]);
	const packageBaseUrl = `${here}/pyodide/`;
	return await loadPyodide({ lockFileContents, packageBaseUrl, packages: ["micropip"], onProgress });
}

/** Pyodide's lock file, under its digest as all else. */
async function readLock(name) {
	try {
		const answer = await fetch(`${here}/pyodide/${name}`, { integrity: BUNDLE.lock });
		return await answer.text();
	} catch (error) {
		throw new Error(`${name} cannot be read, or is not as it was written (${error.message})`);
	}
}

/** Have what is typed run by Python's own console. */
function openPrompt(pyodide) {
	const code = pyodide.pyimport("pyodide.console");
	const terminal = code.PyodideConsole(pyodide.globals);
	terminal.stdout_callback = print;
	terminal.stderr_callback = print;
	const [prompt, mark] = [find("prompt"), find("mark")];
	const history = [];
	let at = 0;
	prompt.addEventListener("keydown", (event) => {
		const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
		if (!step) return;
		at = Math.max(0, Math.min(history.length, at + step));
		prompt.value = history[at] ?? "";
		event.preventDefault();
	});
	prompt.form.addEventListener("submit", async (event) => {
		event.preventDefault();
		const line = prompt.value;
		prompt.value = "";
		if (line) at = history.push(line);
		print(`${mark.textContent} ${line}\n`);
		prompt.readOnly = true;
		const running = terminal.push(line);
		mark.textContent = running.syntax_check === "incomplete" ? "..." : ">>>";
		try {
			if (running.syntax_check === "syntax-error") print(`${running.formatted_error}`);
			if (running.syntax_check === "complete") {
				const value = await running;
				if (value !== undefined) print(`${pyodide.globals.get("repr")(value)}\n`);
			}
		} catch {
			print(`${running.formatted_error}`);
		} finally {
			prompt.readOnly = false;
			running.destroy();
		}
	});
	prompt.disabled = false;
	prompt.focus({ preventScroll: true });
}

/** Lines to copy, for each way to use the bundle. */
function recipes() {
	const name = BUNDLE.example;
	const plain = location.protocol === "http:" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);
	const trusted = plain ? ` --trusted-host ${location.hostname}` : "";
	const allowed = plain ? ` --allow-insecure-host ${location.host}` : "";
	const pages = `${here}/simple/{package_name}/index.json`;
	return {
		"In a page": `<script type="module">
  import { loadPyodide } from "${here}/pyodide/pyodide.mjs";

  const pyodide = await loadPyodide({ packages: ["micropip"] });
  await pyodide.runPythonAsync(\`
      import micropip
      await micropip.install("${name}")
  \`);
</script>`,
		"In PyScript's configuration": `interpreter = "${here}/pyodide/pyodide.mjs"\npackages = ["${name}"]`,
		"In any other Pyodide": `import micropip\nawait micropip.install("${name}", index_urls="${here}/simple")`,
		"The same, with pyodide_mirror": `import pyodide_mirror\nawait pyodide_mirror.install("${name}", mirrors="${pages}")`,
		"In jupyter_lite_config.json, for a JupyterLite site": `{"PyodideMirrorAddon": {"mirrors": ["${pages}"]}}`,
		pip: `pip install${trusted} --index-url ${here}/simple/ ${name}`,
		uv: `uv pip install${allowed} --index-url ${here}/simple/ ${name}`,
		"pip, where the host has no index documents": `pip install${trusted} --no-index --find-links ${here}/links.html ${name}`,
	};
}

for (const [title, lines] of Object.entries(recipes())) {
	const [heading, code] = [document.createElement("h3"), document.createElement("pre")];
	heading.textContent = title;
	code.textContent = lines;
	find("recipes").append(heading, code);
}
let starts = true;
start(({ file, received, total }) => {
	const done = `${file}: ${Math.round((100 * received) / total)} %`;
	if (starts) find("status").textContent = `Python starts … ${done}`;
}).then(
	(pyodide) => {
		starts = false;
		globalThis.pyodide = pyodide;
		find("status").textContent = `Python ${BUNDLE.python} (Pyodide ${pyodide.version})`;
		print(`Try: import micropip; await micropip.install("${BUNDLE.example}")\n`);
		openPrompt(pyodide);
	},
	(error) => {
		starts = false;
		find("status").textContent = `Python did not start: ${error.message}`;
	},
);
