/** The front end's side of the comm with one kernel. */

import type { Kernel, KernelMessage } from "@jupyterlab/services";
import type { TranslationBundle } from "@jupyterlab/translation";
import { type ISignal, Signal } from "@lumino/signaling";

import {
  type FromKernel,
  type IAnswer,
  type ICache,
  type IEvent,
  type IMirror,
  type IOutcome,
  type IPreferences,
  type IReport,
  type IRequest,
  TARGET,
  VERSION,
} from "./protocol";

type Waiting = { resolve: (answer: IAnswer) => void; reject: (error: Error) => void };

/** What is known of a kernel: `unknown` until it answers, `none` when it has nothing of ours. */
export type Availability = "unknown" | "there" | "none" | "other-version";

export class MirrorClient {
  availability: Availability = "unknown";
  locked = false;
  report: IReport | null = null;
  mirrors: IMirror[] = [];
  cache: ICache | null = null;
  text = "";
  /** Verdicts that have come since the last report. */
  arrived = new Map<string, IOutcome>();
  /** What an install does now. */
  event: IEvent | null = null;
  private _comm: Kernel.IComm | null = null;
  private _waiting = new Map<number, Waiting>();
  private _lastId = 0;
  /** The settings that the kernel has. */
  private _used = "";
  private _changed = new Signal<this, void>(this);

  constructor(
    readonly kernel: Kernel.IKernelConnection,
    private _preferences: () => IPreferences,
    private _trans: TranslationBundle,
  ) {
    kernel.statusChanged.connect(this._onStatus, this);
    kernel.iopubMessage.connect(this._onMessage, this);
    this._open();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  dispose(): void {
    this.kernel.statusChanged.disconnect(this._onStatus, this);
    this.kernel.iopubMessage.disconnect(this._onMessage, this);
    if (this._comm && !this._comm.isDisposed && this.availability === "there") {
      this._comm.close();
    }
    this._lost();
    Signal.clearData(this);
  }

  /** Ask the kernel; an answer that is an error rejects with its text. */
  request(request: IRequest): Promise<IAnswer> {
    const comm = this._comm;
    if (!comm || this.availability !== "there") {
      return Promise.reject(new Error(this._trans.__("This kernel does not answer.")));
    }
    this._lastId += 1;
    const id = this._lastId;
    return new Promise((resolve, reject) => {
      this._waiting.set(id, { resolve, reject });
      comm.send({ ...request, id } as unknown as Parameters<typeof comm.send>[0]);
    });
  }

  /** Have the kernel use these settings, unless it does; with a mirror, that one if it works. */
  async use(settings: IPreferences, mirror?: string): Promise<void> {
    const wanted = canonical(settings);
    if (mirror === undefined && wanted === this._used) {
      return;
    }
    await this.request({ do: "use", settings, mirror });
    this._used = wanted;
  }

  private _open(): void {
    if (!this.kernel.handleComms) {
      this.availability = "none";
      return;
    }
    const comm = this.kernel.createComm(TARGET);
    this._comm = comm;
    comm.onMsg = (message) => {
      this._receive(message.content.data as unknown as FromKernel);
    };
    comm.onClose = () => {
      if (this._comm === comm) {
        this._lost();
        this.availability = "none";
        this._changed.emit();
      }
    };
    const settings = this._preferences();
    this._used = canonical(settings);
    comm.open({ version: VERSION, settings: settings as Record<string, never> });
  }

  /** A kernel that restarts forgets its comms, and gets a new one before it runs anything. */
  private _onStatus(_: Kernel.IKernelConnection, status: Kernel.Status): void {
    if (status !== "restarting" && status !== "autorestarting") {
      return;
    }
    this._lost();
    this.availability = "unknown";
    this.report = null;
    this.arrived.clear();
    this._changed.emit();
    void Promise.resolve().then(() => {
      if (!this.kernel.isDisposed) {
        this._open();
      }
    });
  }

  private _onMessage(_: unknown, message: KernelMessage.IIOPubMessage): void {
    const parent = message.parent_header as { msg_type?: string };
    const content = message.content as { execution_state?: string };
    const isIdle = message.header.msg_type === "status" && content.execution_state === "idle";
    if (isIdle && parent.msg_type === "comm_open" && this.availability === "unknown") {
      this.availability = "none"; // ours would have answered, and others may not even refuse
      this._changed.emit();
    } else if (isIdle && parent.msg_type === "execute_request" && this.event) {
      this.event = null;
      this._changed.emit();
    }
  }

  private _lost(): void {
    this._comm = null;
    this.event = null;
    for (const { reject } of this._waiting.values()) {
      reject(new Error(this._trans.__("The kernel has ended.")));
    }
    this._waiting.clear();
  }

  private _receive(message: FromKernel): void {
    switch (message.type) {
      case "state":
        this.availability = message.version === VERSION ? "there" : "other-version";
        this.locked = message.locked;
        this.report = message.report;
        this.arrived.clear();
        break;
      case "outcome":
        this.arrived.set(message.outcome.mirror.index_url, message.outcome);
        break;
      case "event":
        this.event = message.event;
        break;
      case "answer":
        this._answered(message);
        break;
    }
    this._changed.emit();
  }

  private _answered(answer: IAnswer): void {
    this.mirrors = answer.mirrors ?? this.mirrors;
    this.cache = answer.cache ?? this.cache;
    this.text = answer.text ?? this.text;
    const waiting = this._waiting.get(answer.id);
    this._waiting.delete(answer.id);
    if (answer.error === undefined) {
      waiting?.resolve(answer);
    } else {
      waiting?.reject(new Error(answer.error));
    }
  }
}

/** The same text for the same settings, in whatever order. */
function canonical(settings: IPreferences): string {
  return JSON.stringify(
    Object.entries(settings)
      .filter(([, value]) => value !== undefined)
      .sort(),
  );
}
