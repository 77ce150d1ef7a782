/** What the kernel tells and is asked; the kernel's side is `pyodide_mirror/notebook/comm.py`. */

export const TARGET = "pyodide_mirror";
export const VERSION = 1;

export interface IMirror {
  index_url: string;
  name: string;
  region: string;
  private: boolean;
}

/** What was found out about a mirror, as in a report. */
export interface IOutcome {
  mirror: IMirror;
  reason: string;
  support: "full" | "repaired" | "none";
  repairs: string[];
  elapsed_ms: number;
  detail: string;
  hint: string;
}

/** What was found out about a CDN. */
export interface ICDNOutcome {
  cdn: { base_url: string; name: string; region: string };
  reason: string;
  support: "full" | "repaired" | "none";
  elapsed_ms: number;
  detail: string;
  hint: string;
}

export interface IReport {
  chosen: string | null;
  outcomes: IOutcome[];
  pending: IMirror[];
  cdns: ICDNOutcome[];
}

export interface IEvent {
  kind: string;
  text: string;
  mirror: string;
  url: string;
  size: number | null;
  total: number | null;
}

export interface ICache {
  files: number;
  pages: number;
  bytes: number;
  max_bytes: number;
  where: string;
}

/** What a user has set; what is not there is as the site has it. */
export interface IPreferences {
  mirrors?: string[];
  cdns?: string[];
  prefer?: "lockfile" | "index";
  timeout?: number;
  remember?: boolean;
}

export interface IRequest {
  do: "list" | "probe" | "use" | "clear";
  settings?: IPreferences;
  mirror?: string;
}

export interface IAnswer {
  type: "answer";
  id: number;
  error?: string;
  mirrors?: IMirror[];
  cache?: ICache;
  text?: string;
}

export type FromKernel =
  | { type: "state"; version: number; locked: boolean; report: IReport | null }
  | { type: "outcome"; outcome: IOutcome }
  | { type: "event"; event: IEvent }
  | IAnswer;
