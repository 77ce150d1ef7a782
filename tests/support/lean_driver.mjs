// Runs `lean` of fast.js over pages: a list of bodies in base64 comes in on stdin, as JSON; a list of
// [text, checked] or null goes out.
//
// node lean_driver.mjs FAST_JS

import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";

const [path] = process.argv.slice(2);
const { lean } = runInThisContext(readFileSync(path, "utf8"), { filename: path });
const bodies = JSON.parse(readFileSync(0, "utf8"));
const found = bodies.map((body) => lean(new Uint8Array(Buffer.from(body, "base64"))));
process.stdout.write(JSON.stringify(found));
