import type { StorageLevel } from '../coordinator/domain.ts';
import type { Role } from './api-key.ts';
import type { Level, Limit } from './token-bucket.ts';

/** Clients created, … */
export const CLIENTS_MAX = 100_000;
/** … keys of one of them, those that are running out included, … */
export const KEYS_PER_CLIENT_MAX = 16;
/** … and how long a replaced key may go on: 30 days. */
export const OVERLAP_MS_MAX = 30 * 24 * 3_600_000;
/** Buckets that are told apart; beyond: see buckets.ts. */
export const BUCKETS_MAX = 100_000;

/** What can be asked of the clients domain. Imperative; client ids are in their canonical form. */
export type ClientsCommand =
  | CreateClient
  | UpdateClient
  | DeleteClient
  | IssueKey
  | RevokeKey
  | RotateKey
  | KeepLevels
  | SetStorage
  | EndKeys;

export interface CreateClient {
  readonly type: 'CreateClient';
  readonly client: string;
  /** Absent: the default. */
  readonly limit?: Limit;
}

/** A part that is absent stays as it is; `null` takes the client's own limit away, back to the default. */
export interface UpdateClient {
  readonly type: 'UpdateClient';
  readonly client: string;
  readonly capacity?: number | null | undefined;
  readonly ratePerSec?: number | null | undefined;
  /** What is taken for the other part where the client had no limit of its own. */
  readonly defaultLimit: Limit | undefined;
}

/** Its keys go too. */
export interface DeleteClient extends EndsKeys {
  readonly type: 'DeleteClient';
  readonly client: string;
}

export interface IssueKey {
  readonly type: 'IssueKey';
  readonly client: string;
  readonly role: Role;
  /** Id of the new key, and SHA-256 of its secret as hex. */
  readonly key: string;
  readonly secretHash: string;
}

/** Without a key of an operator the HTTP port is open to whoever reaches it, so the last one is kept. */
interface EndsKeys {
  /** The last one may go: the configuration has another. */
  readonly hasAdminKey?: boolean;
}

/** No longer good, from this moment on. */
export interface RevokeKey extends EndsKeys {
  readonly type: 'RevokeKey';
  readonly client: string;
  readonly key: string;
}

/** A new key of the same role; the old one is good for `overlapMs` more, at most OVERLAP_MS_MAX. */
export interface RotateKey {
  readonly type: 'RotateKey';
  readonly client: string;
  readonly key: string;
  readonly overlapMs: number;
  readonly newKey: string;
  readonly newSecretHash: string;
}

/** What buckets hold, so that a restart doesn't fill them; `forgotten`: they are full. */
export interface KeepLevels {
  readonly type: 'KeepLevels';
  readonly levels: readonly (readonly [client: string, level: Level])[];
  readonly forgotten: readonly string[];
}

/** The journal has more or less room than before. Also the first command of a run. */
export interface SetStorage {
  readonly type: 'SetStorage';
  readonly level: StorageLevel;
}

/** Some may have come to their end. */
export interface EndKeys {
  readonly type: 'EndKeys';
}

export type ClientsRefusal =
  | 'duplicate_client'
  | 'unknown_client'
  | 'unknown_key'
  | 'bad_field'
  | 'too_many'
  | 'last_operator_key'
  | 'storage_full';
export type Rejected = {
  readonly type: 'rejected';
  readonly code: ClientsRefusal;
  readonly message: string;
  readonly path?: string;
  readonly retryAfterMs?: number;
};
export type Done = { readonly type: 'done' };
export const DONE: Done = { type: 'done' };

export interface ClientsAnswers {
  CreateClient: Done | Rejected;
  UpdateClient: Done | Rejected;
  DeleteClient: Done | Rejected;
  IssueKey: Done | Rejected;
  RevokeKey: Done | Rejected;
  RotateKey: Done | Rejected;
  KeepLevels: Done;
  SetStorage: Done;
  EndKeys: Done;
}
export type ClientsAnswer = ClientsAnswers[keyof ClientsAnswers];

/** The key is no longer good: who came with it has to go. */
export type ClientsNotice = { readonly type: 'KeyEnded'; readonly key: string; readonly client: string };
