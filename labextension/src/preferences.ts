/** What the user has set, kept in this browser and handed to each kernel. */

import { PageConfig } from "@jupyterlab/coreutils";
import type { ISettingRegistry } from "@jupyterlab/settingregistry";
import type { TranslationBundle } from "@jupyterlab/translation";
import { type ISignal, Signal } from "@lumino/signaling";

import type { IPreferences } from "./protocol";
import { translated } from "./words";

const KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel";
const PLUGIN = "pyodide-mirror:plugin";
const VARIABLE = "PYODIDE_MIRROR_PREFERENCES";
const NAMES = ["mirrors", "cdns", "prefer", "timeout", "remember"] as const;

type Json = Record<string, unknown>;

/** The key of this site: several sites may share an origin. */
const key = () => `pyodide-mirror:${PageConfig.getBaseUrl()}`;

/** What this browser has kept for this site. */
function kept(): IPreferences {
  try {
    return chosen(JSON.parse(localStorage.getItem(key()) ?? "{}"));
  } catch {
    return {}; // no storage here, or something else has written there
  }
}

function keep(preferences: IPreferences): void {
  try {
    if (Object.keys(preferences).length) {
      localStorage.setItem(key(), JSON.stringify(preferences));
    } else {
      localStorage.removeItem(key());
    }
  } catch {
    console.warn("pyodide-mirror: this browser keeps nothing, so the next page starts anew");
  }
}

/** The settings of ours that are there; empty lists are as good as none. */
function chosen(all: Json): IPreferences {
  const there = NAMES.filter((name) => {
    const value = all[name];
    return value !== undefined && value !== null && !(Array.isArray(value) && !value.length);
  });
  return Object.fromEntries(there.map((name) => [name, all[name]]));
}

/** Settings of plugins in the page's configuration. */
function pluginSettings(): Record<string, Json> {
  return JSON.parse(PageConfig.getOption("litePluginSettings") || "{}");
}

/**
 * Hand what is kept to all kernels of the page, before any of them starts.
 *
 * To be called while this module loads: the kernel's extension reads the page's configuration once.
 * Kernels whose settings the owner has locked do not look at it.
 */
export function configurePage(): void {
  const preferences = kept();
  if (!Object.keys(preferences).length) {
    return;
  }
  const settings = pluginSettings();
  const kernel = settings[KERNEL] ?? {};
  const options = (kernel.loadPyodideOptions ?? {}) as Json;
  const env = { ...(options.env as Json), [VARIABLE]: JSON.stringify(preferences) };
  settings[KERNEL] = { ...kernel, loadPyodideOptions: { ...options, env } };
  PageConfig.setOption("litePluginSettings", JSON.stringify(settings));
}

/** What the user has set. With JupyterLab's settings, those are the ones that count. */
export class Preferences {
  private _all = kept();
  private _settings: ISettingRegistry.ISettings | null = null;
  private _changed = new Signal<this, void>(this);

  get all(): IPreferences {
    return this._all;
  }

  /** Sent when the user has changed something, here or in the editor of settings. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  async follow(registry: ISettingRegistry, trans: TranslationBundle): Promise<void> {
    // No server translates the schema here, and the editor of settings asks JupyterLab's words only.
    const fetch = (plugin: ISettingRegistry.IPlugin) => ({
      ...plugin,
      schema: translated(plugin.schema, trans),
    });
    registry.transform(PLUGIN, { fetch });
    this._settings = await registry.load(PLUGIN);
    this._settings.changed.connect(this._take, this);
    this._take();
  }

  async set(patch: IPreferences): Promise<void> {
    const settings = this._settings;
    if (!settings) {
      this._replace(chosen({ ...this._all, ...patch }));
      return;
    }
    for (const [name, value] of Object.entries(patch)) {
      await (value === undefined ? settings.remove(name) : settings.set(name, value));
    }
  }

  private _take(): void {
    this._replace(chosen((this._settings?.user ?? {}) as Json));
  }

  private _replace(all: IPreferences): void {
    const before = JSON.stringify(this._all);
    this._all = all;
    keep(all);
    if (JSON.stringify(all) !== before) {
      this._changed.emit();
    }
  }
}
