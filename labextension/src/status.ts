/** What the status bar shows: the mirror in use, how it is, and what an install does now. */

import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";

import type { MirrorClient } from "./client";
import type { Kernels } from "./kernels";
import { bytes } from "./words";

/** `good`, `fair` (repaired), `bad` (none works), `idle` (nothing chosen), `off` (no answer). */
export type Health = "good" | "fair" | "bad" | "idle" | "off";

export interface ISummary {
  health: Health;
  label: string;
  title: string;
}

/** What is to be said of a kernel in a few words. */
export function summary(client: MirrorClient | null, trans: TranslationBundle): ISummary {
  if (!client || client.availability === "unknown") {
    return {
      health: "off",
      label: trans.__("Packages"),
      title: trans.__("No kernel has answered yet"),
    };
  }
  if (client.availability !== "there") {
    const title = trans.__("This kernel has no pyodide_mirror, so its mirrors cannot be shown");
    return { health: "off", label: trans.__("Packages"), title };
  }
  const { report, event } = client;
  const best = report?.outcomes.find((each) => each.mirror.index_url === report.chosen);
  if (event?.kind === "progress") {
    const label = bytes(event.size ?? 0, event.total);
    const file = event.url.slice(event.url.lastIndexOf("/") + 1);
    const title = file ? trans.__("Reading %1", decoded(file)) : event.text;
    return { health: best ? health(best.support) : "idle", label, title };
  }
  if (best) {
    const title = trans.__("Packages come from %1 (%2)", best.mirror.name, best.reason);
    return { health: health(best.support), label: best.mirror.name, title };
  }
  const seen = report?.outcomes ?? [];
  if (seen.length && !report?.pending.length && seen.every((each) => each.support === "none")) {
    const title = trans.__("No mirror works from here");
    return { health: "bad", label: trans.__("No mirror"), title };
  }
  const title = trans.__("The first install that needs a mirror looks for one");
  return { health: "idle", label: trans.__("Packages"), title };
}

export function health(support: string): Health {
  return support === "full" ? "good" : support === "repaired" ? "fair" : "bad";
}

/** The name of a file in a URL, as people write it. */
function decoded(file: string): string {
  try {
    return decodeURIComponent(file);
  } catch {
    return file;
  }
}

/** A button with a dot in the colour of the mirror's state. */
export class StatusButton extends Widget {
  private _button = document.createElement("button");
  private _dot = document.createElement("span");
  private _label = document.createElement("span");

  constructor(
    private _kernels: Kernels,
    private _trans: TranslationBundle,
    open: () => void,
  ) {
    super();
    this.addClass("pm-status");
    this._dot.className = "pm-dot";
    this._dot.setAttribute("aria-hidden", "true");
    this._button.append(this._dot, this._label);
    this._button.addEventListener("click", open);
    this.node.append(this._button);
    _kernels.changed.connect(this._show, this);
    this._show();
  }

  private _show(): void {
    const { health, label, title } = summary(this._kernels.client, this._trans);
    this._dot.dataset.health = health;
    this._label.textContent = label;
    this._button.title = title;
    this._button.setAttribute(
      "aria-label",
      `${this._trans.__("Package mirrors")}: ${label}. ${title}`,
    );
  }
}
