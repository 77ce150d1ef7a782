/** Which kernel is looked at: that of the widget in front, or the last one that was. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { ISessionContext } from "@jupyterlab/apputils";
import type { Kernel } from "@jupyterlab/services";
import type { TranslationBundle } from "@jupyterlab/translation";
import { type ISignal, Signal } from "@lumino/signaling";

import { MirrorClient } from "./client";
import type { Preferences } from "./preferences";

/** Notebooks and consoles have one. */
interface IWithSession {
  sessionContext?: ISessionContext;
}

export class Kernels {
  /** The client of the kernel that is looked at. */
  client: MirrorClient | null = null;
  private _context: ISessionContext | null = null;
  private _changed = new Signal<this, void>(this);

  constructor(
    private _app: JupyterFrontEnd,
    private _preferences: Preferences,
    private _trans: TranslationBundle,
  ) {
    const { shell, serviceManager } = _app;
    shell.currentChanged?.connect(this._look, this);
    // JupyterLab's tells of what is opened and closed, whatever has the focus.
    (shell as { layoutModified?: ISignal<unknown, void> }).layoutModified?.connect(
      this._look,
      this,
    );
    serviceManager.sessions.runningChanged.connect(this._look, this);
    void _app.restored.then(() => this._look());
  }

  /** Sent when another kernel is looked at, or something happens in it. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  private _look(): void {
    const context = this._inFront();
    if (context && context !== this._context) {
      this._context?.kernelChanged.disconnect(this._connect, this);
      this._context = context;
      context.kernelChanged.connect(this._connect, this);
    }
    this._connect();
  }

  private _inFront(): ISessionContext | null {
    const { shell } = this._app;
    const current = shell.currentWidget as IWithSession | null;
    if (current?.sessionContext) {
      return current.sessionContext;
    }
    if (this._context?.session && !this._context.isDisposed) {
      return this._context;
    }
    const all = ([...shell.widgets("main")] as IWithSession[]).flatMap(
      (each) => each.sessionContext ?? [],
    );
    return all.find((each) => each.session) ?? all[0] ?? null;
  }

  /** Of several connections to a kernel, as of a notebook and its console, one has the comms. */
  private _withComms(kernel: Kernel.IKernelConnection | null): Kernel.IKernelConnection | null {
    if (!kernel || kernel.handleComms) {
      return kernel;
    }
    const all = [...this._app.shell.widgets("main")] as IWithSession[];
    const others = all.map((each) => each.sessionContext?.session?.kernel);
    return others.find((each) => each?.id === kernel.id && each.handleComms) ?? kernel;
  }

  private _connect(): void {
    const kernel = this._withComms(this._context?.session?.kernel ?? null);
    if (kernel === (this.client?.kernel ?? null)) {
      return;
    }
    this.client?.dispose();
    this.client = kernel && new MirrorClient(kernel, () => this._preferences.all, this._trans);
    this.client?.changed.connect(() => this._changed.emit());
    this._changed.emit();
  }
}
