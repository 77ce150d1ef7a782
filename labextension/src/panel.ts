/** The panel "Package mirrors": verdicts, what to do about them, and the user's own order. */

import type { TranslationBundle } from "@jupyterlab/translation";
import { LabIcon } from "@jupyterlab/ui-components";
import { Widget } from "@lumino/widgets";

import "../style/panel.css";
import type { Actions } from "./actions";
import type { MirrorClient } from "./client";
import { element } from "./element";
import type { Kernels } from "./kernels";
import type { ICDNOutcome, IMirror, IOutcome } from "./protocol";
import { health, summary } from "./status";
import { advice, bytes, meanings } from "./words";

const CUBE =
  "M12 2 3 7v10l9 5 9-5V7zm0 2.3 6.1 3.4L12 11.1 5.9 7.7zM5 9.4l6 3.4v6.8l-6-3.4zm8 10.2v-6.8l6-3.4v6.8z";
const ICON = new LabIcon({
  name: "pyodide-mirror:package",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
    <path class="jp-icon3 jp-icon-selectable" fill="#616161" fill-rule="evenodd" d="${CUBE}"/></svg>`,
});

export class MirrorPanel extends Widget {
  private _summary = element("p", { role: "status", class: "pm-summary" });
  private _problem = element("p", { role: "alert", class: "pm-problem" });
  private _body = element("div");
  private _dragged = -1;
  /** The kernel that was asked what there is. */
  private _asked: MirrorClient | null = null;
  /** What is being done, in words, and how much: a restart may ask the kernel meanwhile. */
  private _busy = "";
  private _working = 0;

  constructor(
    private _kernels: Kernels,
    private _actions: Actions,
    private _trans: TranslationBundle,
  ) {
    super();
    this.id = "pyodide-mirror-panel";
    this.addClass("pm-panel");
    const name = _trans.__("Package mirrors");
    this.title.caption = name;
    this.title.icon = ICON;
    this.title.closable = true;
    const heading = element("h2", {}, name);
    this.node.append(heading, this._summary, this._problem, this._body);
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", name);
    this.node.tabIndex = -1;
    _kernels.changed.connect(this._show, this);
    this._show();
  }

  /** Show it in front of an app that has no place for it, until it is closed. */
  showInFront(): void {
    if (!this.isAttached) {
      this.addClass("pm-in-front");
      const before = document.activeElement;
      const label = this._trans.__("Close");
      const button = element("button", { type: "button", class: "pm-button pm-close" }, label);
      const close = () => {
        this.dispose();
        (before instanceof HTMLElement ? before : document.body).focus();
      };
      button.addEventListener("click", close);
      this.node.addEventListener("keydown", (event) => {
        if (event.key === "Escape") {
          close();
        }
      });
      this.node.prepend(button);
      Widget.attach(this, document.body);
    }
    this.node.focus();
  }

  /** Ask the kernel what there is. */
  refresh(): void {
    this._asked = this._kernels.client;
    void this._run("", () => this._actions.list());
  }

  protected onAfterShow(): void {
    this.refresh();
  }

  protected onActivateRequest(): void {
    this.node.focus();
  }

  dispose(): void {
    this._kernels.changed.disconnect(this._show, this);
    super.dispose();
  }

  /** Do something that may fail, and say meanwhile what that is. */
  private async _run(what: string, act: () => Promise<unknown>): Promise<void> {
    this._busy ||= what;
    this._working += 1;
    this._problem.textContent = "";
    this._show();
    try {
      await act();
    } catch (error) {
      this._problem.textContent = error instanceof Error ? error.message : String(error);
    }
    this._working -= 1;
    this._busy = this._working ? this._busy : "";
    this._show();
  }

  private _show(): void {
    if (this.isDisposed) {
      return;
    }
    this.node.setAttribute("aria-busy", String(this._working > 0));
    const client = this._kernels.client;
    const { title } = summary(client, this._trans);
    const event = client?.event?.kind === "progress" ? null : client?.event;
    const said = this._busy || event?.text || title;
    if (this._summary.textContent !== said) {
      this._summary.textContent = said;
    }
    const before = this._keys();
    const place = before.findIndex((each) => each === document.activeElement);
    const there = client?.availability === "there";
    if (!there) {
      this._asked = null;
    } else if (client !== this._asked && this.isVisible) {
      this.refresh(); // another kernel, or one that was restarted
    }
    this._body.replaceChildren(
      ...(there ? [this._mirrors(), this._adding(), this._cdns(), this._rest()] : []),
    );
    if (place >= 0) {
      // What has the focus keeps it; if it is gone, what has taken its place gets it.
      const key = before[place]?.dataset.key;
      const after = this._keys();
      const next = after.find((each) => each.dataset.key === key) ?? after[place] ?? after.at(-1);
      (next ?? this.node).focus();
    }
  }

  /** All that the keyboard gets to. */
  private _keys(): HTMLElement[] {
    return [...this._body.querySelectorAll<HTMLElement>("[data-key]")];
  }

  private _button(
    key: string,
    label: string,
    act: () => Promise<unknown>,
    options: {
      about?: string;
      sign?: string;
      busy?: string;
      disabled?: boolean;
      changes?: boolean;
    } = {},
  ): HTMLElement {
    const locked = options.changes && this._kernels.client?.locked;
    const button = element(
      "button",
      { type: "button", "data-key": key, class: "pm-button" },
      options.sign ?? label,
    );
    if (options.sign) {
      button.title = label;
    }
    if (options.about) {
      button.setAttribute("aria-label", `${label}: ${options.about}`);
    }
    // It stays in the order of the keyboard while it works, so that the focus stays, too.
    const off = Boolean(options.disabled || locked || this._working);
    button.setAttribute("aria-disabled", String(off));
    button.addEventListener("click", () => {
      if (!off) {
        void this._run(options.busy ?? "", act);
      }
    });
    return button;
  }

  private _mirrors(): HTMLElement {
    const client = this._kernels.client;
    const mirrors = client?.mirrors ?? [];
    const items = mirrors.map((mirror, place) => this._mirror(mirror, place, mirrors));
    const note = this._trans.__(
      "The owner of this site has set them; they cannot be changed here.",
    );
    const locked = client?.locked ? [element("p", { class: "pm-note" }, note)] : [];
    return element("div", {}, ...locked, element("ol", { class: "pm-list" }, ...items));
  }

  private _mirror(mirror: IMirror, place: number, all: IMirror[]): HTMLElement {
    const client = this._kernels.client;
    const url = mirror.index_url;
    const inUse = client?.report?.chosen === url;
    const found = client?.report?.outcomes.find((each) => each.mirror.index_url === url);
    const outcome = client?.arrived.get(url) ?? found;
    const item = element(
      "li",
      { class: inUse ? "pm-item pm-in-use" : "pm-item" },
      this._title(mirror.name, url, outcome, inUse),
      ...this._details(outcome),
      this._choices(mirror, place, all, inUse),
    );
    if (!client?.locked) {
      this._makeDraggable(item, place, all);
    }
    return item;
  }

  private _title(
    name: string,
    url: string,
    outcome: IOutcome | ICDNOutcome | undefined,
    inUse: boolean,
  ): HTMLElement {
    const repairs = outcome && "repairs" in outcome && outcome.repairs.length > 0;
    const verdict = outcome
      ? repairs
        ? (outcome as IOutcome).repairs.join(" + ")
        : outcome.reason
      : this._trans.__("not tested yet");
    const dot = element("span", { class: "pm-dot", "aria-hidden": "true" });
    dot.dataset.health = outcome ? health(outcome.support) : "idle";
    const used = inUse ? [element("span", { class: "pm-mark" }, this._trans.__("in use"))] : [];
    const heading = element("strong", { title: url }, name);
    const said = element("span", { class: "pm-verdict" }, verdict);
    return element("div", { class: "pm-title" }, dot, heading, said, ...used);
  }

  private _details(outcome: IOutcome | ICDNOutcome | undefined): HTMLElement[] {
    if (!outcome) {
      return [];
    }
    const seen = `${outcome.detail} (${Math.round(outcome.elapsed_ms)} ms)`;
    const details = [element("div", { class: "pm-detail", lang: "en" }, seen)];
    const meaning = meanings(outcome, this._trans);
    if (meaning) {
      details.unshift(element("div", { class: "pm-meaning" }, meaning));
    }
    if (outcome.support !== "full") {
      const hint = advice(outcome.hint, this._trans);
      details.push(element("div", { class: "pm-hint" }, hint));
    }
    return details;
  }

  private _choices(mirror: IMirror, place: number, all: IMirror[], inUse: boolean): HTMLElement {
    const { index_url: url, name } = mirror;
    const trans = this._trans;
    const changes = true;
    const move = (to: number) => () => this._actions.reorder(moved(all, place, to));
    return element(
      "div",
      { class: "pm-row", role: "group", "aria-label": name },
      this._button(`use ${url}`, trans.__("Use"), () => this._actions.choose(url), {
        about: name,
        busy: trans.__("Testing %1 …", name),
        disabled: inUse,
        changes,
      }),
      this._button(`up ${url}`, trans.__("Up"), move(place - 1), {
        about: name,
        sign: "↑",
        disabled: place === 0,
        changes,
      }),
      this._button(`down ${url}`, trans.__("Down"), move(place + 1), {
        about: name,
        sign: "↓",
        disabled: place === all.length - 1,
        changes,
      }),
      this._button(
        `remove ${url}`,
        trans.__("Remove"),
        () => this._actions.reorder(all.filter((each) => each.index_url !== url)),
        { about: name, sign: "×", disabled: all.length === 1, changes },
      ),
    );
  }

  private _makeDraggable(item: HTMLElement, place: number, all: IMirror[]): void {
    item.draggable = true;
    item.addEventListener("dragstart", (event) => {
      this._dragged = place;
      event.dataTransfer?.setData("text/plain", all[place]?.index_url ?? "");
    });
    item.addEventListener("dragover", (event) => {
      if (this._dragged >= 0) {
        event.preventDefault();
      }
    });
    item.addEventListener("drop", (event) => {
      event.preventDefault();
      const from = this._dragged;
      this._dragged = -1;
      if (from >= 0 && from !== place) {
        void this._run("", () => this._actions.reorder(moved(all, from, place)));
      }
    });
    item.addEventListener("dragend", () => {
      this._dragged = -1;
    });
  }

  private _adding(): HTMLElement {
    if (this._kernels.client?.locked) {
      return element("div");
    }
    const input = element("input", {
      type: "url",
      "data-key": "url",
      "aria-label": this._trans.__("Index URL of another mirror"),
      placeholder: "https://mirror.example/simple",
      required: "",
    });
    const before = this._body.querySelector<HTMLInputElement>('input[data-key="url"]');
    input.value = before?.value ?? "";
    const add = element("button", { class: "pm-button", "data-key": "add" }, this._trans.__("Add"));
    const form = element("form", { class: "pm-row" }, input, add);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const url = input.value.trim();
      void this._run("", async () => {
        await this._actions.add(url);
        const now = this._body.querySelector<HTMLInputElement>('input[data-key="url"]');
        if (now) {
          now.value = "";
        }
      });
    });
    return form;
  }

  private _cdns(): HTMLElement {
    const cdns = this._kernels.client?.report?.cdns ?? [];
    if (!cdns.length) {
      return element("div");
    }
    const items = cdns.map((each) =>
      element(
        "li",
        { class: "pm-item" },
        this._title(each.cdn.name, each.cdn.base_url, each, false),
        ...this._details(each),
      ),
    );
    const heading = element("h3", {}, this._trans.__("CDNs with Pyodide's own packages"));
    return element("div", {}, heading, element("ul", { class: "pm-list" }, ...items));
  }

  private _rest(): HTMLElement {
    const trans = this._trans;
    const actions = this._actions;
    const cache = this._kernels.client?.cache;
    const size = cache
      ? trans._n("Cache: %2 in %1 file", "Cache: %2 in %1 files", cache.files, bytes(cache.bytes))
      : "";
    return element(
      "div",
      {},
      element(
        "div",
        { class: "pm-row" },
        this._button("probe", trans.__("Test all"), () => actions.probe(), {
          busy: trans.__("Testing …"),
        }),
        this._button("copy", trans.__("Copy report"), () => actions.copyReport()),
        this._button(
          "reset",
          trans.__("Back to the site's mirrors"),
          () => actions.resetMirrors(),
          {
            changes: true,
          },
        ),
      ),
      element(
        "div",
        { class: "pm-row" },
        element("span", { class: "pm-size" }, size),
        this._button("clear", trans.__("Clear cache"), () => actions.clearCache()),
      ),
    );
  }
}

/** The list with one element at another place. */
function moved(all: IMirror[], from: number, to: number): IMirror[] {
  const rest = all.filter((_, place) => place !== from);
  const one = all[from];
  return one ? [...rest.slice(0, to), one, ...rest.slice(to)] : all;
}
