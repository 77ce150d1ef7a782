/** What users can do: each asks the kernel, and keeps in the browser what it takes. */

import { Clipboard, Notification } from "@jupyterlab/apputils";
import type { TranslationBundle } from "@jupyterlab/translation";

import type { MirrorClient } from "./client";
import type { Kernels } from "./kernels";
import type { Preferences } from "./preferences";
import type { IMirror, IPreferences } from "./protocol";

export class Actions {
  constructor(
    private _kernels: Kernels,
    private _preferences: Preferences,
    private _trans: TranslationBundle,
  ) {
    // What is changed in the editor of settings holds for the running kernel, too.
    _preferences.changed.connect(() => {
      const client = _kernels.client;
      if (client?.availability === "there" && !client.locked) {
        client.use(_preferences.all).catch((error: Error) => Notification.error(error.message));
      }
    });
  }

  async list(): Promise<void> {
    await this._client().request({ do: "list" });
  }

  async probe(): Promise<void> {
    const client = this._client();
    await client.request({ do: "probe" });
    await client.request({ do: "list" });
  }

  /** Have this mirror used, if it works, now and from now on. */
  async choose(url: string): Promise<void> {
    const others = this._urls().filter((each) => each !== url);
    await this._use({ mirrors: [url, ...others] }, url);
  }

  async reorder(mirrors: IMirror[]): Promise<void> {
    await this._use({ mirrors: mirrors.map((each) => each.index_url) });
  }

  async add(url: string): Promise<void> {
    await this._use({ mirrors: [...this._urls(), url] });
  }

  /** The mirrors as the owner of the site has set them. */
  async resetMirrors(): Promise<void> {
    await this._use({ mirrors: undefined });
  }

  async clearCache(): Promise<void> {
    const client = this._client();
    await client.request({ do: "clear" });
    await client.request({ do: "list" });
  }

  async copyReport(): Promise<void> {
    const client = this._client();
    await client.request({ do: "list" });
    // Pages on plain http have no clipboard of that name, but for those of this very machine.
    await (navigator.clipboard?.writeText(client.text) ?? Clipboard.copyToSystem(client.text));
  }

  private async _use(patch: IPreferences, mirror?: string): Promise<void> {
    const client = this._client();
    await client.use({ ...this._preferences.all, ...patch }, mirror);
    await this._preferences.set(patch);
    await client.request({ do: "list" });
  }

  private _urls(): string[] {
    return this._client().mirrors.map((each) => each.index_url);
  }

  private _client(): MirrorClient {
    const { client } = this._kernels;
    if (client?.availability !== "there") {
      throw new Error(this._trans.__("There is no kernel that answers: start one first."));
    }
    return client;
  }
}
