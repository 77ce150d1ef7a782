// Lets this page import the bundle's modules, whatever its host calls them, and only as they were
// written. For a page of yours: before its first module. `pyodide-mirror bundle` wrote it.
(() => {
	const MODULES = {};
	const script = document.currentScript;
	const folder = new URL("pyodide/", script.src).href;
	const ask = (method, name) => {
		const request = new XMLHttpRequest();
		request.open(method, folder + name, false); // what follows must find it done
		request.overrideMimeType("text/plain; charset=utf-8");
		request.send();
		return request;
	};
	const map = { imports: {}, integrity: {} };
	for (const [name, integrity] of Object.entries(MODULES)) map.integrity[folder + name] = integrity;
	// Browsers import what is called JavaScript, and nothing else.
	const type = ask("HEAD", "pyodide.mjs").getResponseHeader("Content-Type") ?? "";
	if (!/^(text|application)\/(x-)?(java|ecma)script\b/i.test(type)) {
		for (const name of Object.keys(MODULES)) {
			const code = ask("GET", name).responseText.replaceAll("import.meta.url", JSON.stringify(folder + name));
			const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
			map.imports[folder + name] = url;
		}
	}
	const element = document.createElement("script");
	element.type = "importmap";
	element.textContent = JSON.stringify(map);
	script.after(element);
})();
