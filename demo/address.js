/* What the page's address asks for, read as what it is: words of whoever made the link.

   ?mirror=URL&mirror=URL&package=NAME&canary=NAME&timeout=SECONDS&lang=TAG, as a query or,
   which no server sees, after a #. */

const LONGEST = 2048;
const MOST_MIRRORS = 20;
const PROJECT = /^[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?$/i; // PEP 508
// A name, extras and a version: no URL, for a link must not choose where code comes from.
const REQUIREMENT = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?(\[[a-z0-9._, -]*\])?[<>=!~0-9a-z.*+, -]*$/i;

const isRequirement = (text) => text.length < 200 && REQUIREMENT.test(text);

/** Why a URL cannot be an index, as the key of a sentence; "" when it can. */
export function faultOf(url) {
  if (url.length > LONGEST) return "fault.long";
  if (/[^\x21-\x7e]|[\\<>"`{}|^]/.test(url)) return "fault.characters";
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return "fault.scheme";
  const { username, password, search, hash } = new URL(url);
  if (username || password || /^[^/]*\/\/[^/]*@/.test(url)) return "fault.password";
  if (search || hash || /[?#]/.test(url)) return "fault.query";
  return "";
}

/** A URL as it may be shown: without what stands before an @, and on one line. */
export const shownUrl = (url) => url.replace(/^([a-z]+:\/\/)?.*@/is, "$1***@").slice(0, 200);

/** Read the address.

    The result has `mirrors`, `package`, `canary`, `timeout`, `lang`, and in `refused` what was not
    taken: [{key, values}]. */
export function readAddress(location) {
  const given = new URLSearchParams(location.search);
  const unseen = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of unseen) given.append(name, value);
  const refused = [];
  const refuse = (what, value, why) =>
    refused.push({ key: "refused", values: { what, value: shownUrl(value), why } });
  const one = (what, fits, why) => {
    const value = given.get(what)?.trim() ?? "";
    if (!value || fits(value)) return value;
    refuse(what, value, why);
    return "";
  };
  return {
    mirrors: mirrorsOf(given, refuse),
    package: one("package", isRequirement, "fault.package"),
    canary: one("canary", (value) => PROJECT.test(value), "fault.canary"),
    timeout: Number(one("timeout", (value) => value > 0 && value <= 600, "fault.timeout")),
    lang: one("lang", (value) => /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i.test(value), "fault.lang"),
    refused,
  };
}

function mirrorsOf(given, refuse) {
  const urls = [...new Set(given.getAll("mirror").map((url) => url.trim().replace(/\/+$/, "")))];
  for (const url of urls.slice(MOST_MIRRORS)) refuse("mirror", url, "fault.many");
  return urls.slice(0, MOST_MIRRORS).filter((url) => {
    const fault = faultOf(url);
    if (fault) refuse("mirror", url, fault);
    return !fault;
  });
}

/** The page's address with these mirrors and the rest of what is set in it. */
export function linkTo(location, { mirrors, ...others }) {
  const asked = new URLSearchParams(mirrors.map((url) => ["mirror", url]));
  for (const [name, value] of Object.entries(others)) if (value) asked.append(name, value);
  return `${location.origin}${location.pathname}#${asked}`;
}
