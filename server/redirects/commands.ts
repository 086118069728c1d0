import type { StorageLevel } from '../coordinator/domain.ts';

/** Configurations at most; one more is refused with `too_many`. */
export const REDIRECTS_MAX = 100;
/** Versions of one configuration that are kept; beyond it the oldest is forgotten. */
export const VERSIONS_MAX = 100;

/** What can be asked of the redirects. Imperative; values have passed the schemas of settings and routes. */
export type RedirectCommand =
  | BeginRedirects
  | CreateRedirect
  | UpdateRedirect
  | ActivateRedirect
  | RollBackRedirect
  | SetStorage;

/** Where videos are fetched, and how often at their origin instead. */
export interface RedirectRule {
  /** A host name or an IP, with a port where it is not 80: see cdn-host.ts. */
  readonly cdnHost: string;
  /** One request of so many goes to the origin; 1: each. A safe integer. */
  readonly distributionRate: number;
}

/** The first command of a run: where there is no configuration yet, this is the first one, and active. */
export interface BeginRedirects extends RedirectRule {
  readonly type: 'BeginRedirects';
}

export interface CreateRedirect extends RedirectRule {
  readonly type: 'CreateRedirect';
}

/** What is absent stays as it is. */
export interface UpdateRedirect {
  readonly type: 'UpdateRedirect';
  readonly id: number;
  readonly cdnHost?: string | undefined;
  readonly distributionRate?: number | undefined;
  /** The one that the change is to follow; absent: whichever. */
  readonly version?: number | undefined;
}

/** The one that goes by it from here on. */
export interface ActivateRedirect {
  readonly type: 'ActivateRedirect';
  readonly id: number;
}

/** A new version that says what this one said. */
export interface RollBackRedirect {
  readonly type: 'RollBackRedirect';
  readonly id: number;
  readonly version: number;
}

/** The journal has more or less room than before. */
export interface SetStorage {
  readonly type: 'SetStorage';
  readonly level: StorageLevel;
}

// ---- answers

/** A configuration as it is behind the decision. */
export interface RedirectView extends RedirectRule {
  readonly id: number;
  readonly createdUtcMs: number;
  readonly updatedUtcMs: number;
  readonly version: number;
}

export interface Shown {
  readonly type: 'redirect';
  readonly redirect: RedirectView;
}

/** There is no such configuration, or it has no such version any more. */
export interface Unknown {
  readonly type: 'unknown';
  readonly what: 'id' | 'version';
}

/** Another version is current. */
export interface Stale {
  readonly type: 'stale';
  readonly version: number;
}

export interface Rejected {
  readonly type: 'rejected';
  readonly code: 'too_many' | 'storage_full';
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** What each command is answered. */
export interface RedirectAnswers {
  /** The active one. */
  BeginRedirects: Shown;
  CreateRedirect: Shown | Rejected;
  UpdateRedirect: Shown | Unknown | Stale | Rejected;
  ActivateRedirect: Shown | Unknown | Rejected;
  RollBackRedirect: Shown | Unknown | Rejected;
  SetStorage: { readonly type: 'done' };
}
export type RedirectAnswer = RedirectAnswers[keyof RedirectAnswers];

/** Another configuration is active, or the active one has changed. */
export interface RedirectNotice {
  readonly type: 'InEffect';
  readonly redirect: RedirectView;
}
