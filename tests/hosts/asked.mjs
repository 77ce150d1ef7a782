// For `node --import`: appends the origin of each request that fetch or node:http makes, one per
// line, to the file that the environment variable ASKED names.
import { subscribe } from "node:diagnostics_channel";
import { appendFileSync } from "node:fs";

const note = (origin) => appendFileSync(process.env.ASKED, `${origin}\n`);
subscribe("undici:request:create", ({ request }) => note(request.origin));
subscribe("http.client.request.start", ({ request }) => note(`http://${request.host}`));
