// Runs a Python program in Pyodide under Node.
//
// One line of JSON comes in, the job; lines of JSON go out. The last one is {kind: "result", value} or
// {kind: "failed", text}; all others are the program's. When the input ends, so does this.
//
// The job: `core`, the folder that Pyodide is in, and `lockFile`, the file; `packages`, the folder with the
// packages that are loaded first, `load`, into which Pyodide puts others; `folders`, those that stand for CDNs;
// `wheel`, the file that is unpacked; `tools`, a folder that Python sees as /tools; `env`, Python's environment;
// `program`, the file with a coroutine function `main`, which gets `task` as JSON, and a function for events.
import { readFile } from "node:fs/promises";
import module from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const FOLDER = /^https:\/\/folder-(\d+)\.invalid\/([^/?#]+)$/;

// What others print goes where it does not mix with ours.
for (const level of ["log", "info", "debug", "warn"]) {
	console[level] = console.error;
}

function send(event) {
	return new Promise((resolve) => process.stdout.write(`${JSON.stringify(event)}\n`, resolve));
}

// Pyodide imports it for sockets, which nobody opens here. Its code is under no digest that is known here.
function leaveOut(name) {
	if (module.registerHooks === undefined) {
		throw new Error(`Node ${process.version} is too old: it has to be 22.15 or newer`);
	}
	module.registerHooks({
		resolve: (asked, context, next) =>
			asked === name
				? { url: "data:text/javascript,export default {}", shortCircuit: true }
				: next(asked, context),
	});
}

function readFolders(folders) {
	const fetch = globalThis.fetch;
	globalThis.fetch = async (resource, options) => {
		const [, number, name] = FOLDER.exec(resource?.url ?? resource) ?? [];
		if (name === undefined) {
			return fetch(resource, options);
		}
		try {
			return new Response(await readFile(new URL(name, pathToFileURL(`${folders[number]}/`))));
		} catch (error) {
			if (error.code === "ENOENT") {
				return new Response(null, { status: 404 });
			}
			throw error;
		}
	};
}

async function run(job) {
	leaveOut("ws");
	readFolders(job.folders);
	const { loadPyodide } = await import(pathToFileURL(`${job.core}/pyodide.mjs`));
	const pyodide = await loadPyodide({
		env: job.env,
		lockFileURL: job.lockFile,
		packageBaseUrl: job.packages,
		packageCacheDir: job.packages,
		stdout: console.error,
		stderr: console.error,
	});
	await send({ kind: "started", text: `Pyodide ${pyodide.version} has started in Node ${process.version}` });
	await pyodide.loadPackage(job.load, { messageCallback: console.error });
	for (const name of job.load) {
		if (!(name in pyodide.loadedPackages)) {
			throw new Error(`Pyodide could not load ${name}`);
		}
	}
	pyodide.unpackArchive(new Uint8Array(await readFile(job.wheel)), "wheel");
	pyodide.mountNodeFS("/tools", job.tools);
	pyodide.runPython(await readFile(job.program, "utf8"), { filename: job.program });
	const main = pyodide.globals.get("main");
	return await main(JSON.stringify(job.task), (line) => process.stdout.write(`${line}\n`));
}

const lines = createInterface({ input: process.stdin });
lines.once("line", async (line) => {
	try {
		await send({ kind: "result", value: await run(JSON.parse(line)) });
	} catch (error) {
		await send({ kind: "failed", text: String(error?.message ?? error) });
	}
	process.exit(0);
});
lines.once("close", () => process.exit(1));
