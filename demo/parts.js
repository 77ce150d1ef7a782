/* Small parts of the page. What comes from the network or Python becomes text, never markup. */

export const $ = (selector, parent = document) => parent.querySelector(selector);

/** An element with text and attributes. */
export function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A cell of a table. On a phone, where each row is a card, `label` (a key) stands before it. */
export function cell(label, text = "", attributes = {}) {
  const named = label ? { "data-label-text": label } : {};
  return element("td", text, { role: "cell", ...named, ...attributes });
}

/** The cell that names its row. */
export const rowHeader = (attributes = {}) =>
  element("th", "", { role: "rowheader", scope: "row", ...attributes });

/** A file that is read whole. Throws an Error when there is none. */
export async function read(path, kind) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer[kind]();
}
