/** Who may send a request through the forward proxy, how many at one time, and what whoever does so is to be leased. */
import type { IncomingMessage } from 'node:http';
import type { Caller, Taken } from '../clients/access.ts';
import type { Owner } from '../lease/holder.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { type Refusal, refusal, seconds } from './forward-errors.ts';
import { readCredentials } from './proxy-credentials.ts';
import { readWanted, type Wanted, type WantedDefaults } from './proxy-parameters.ts';

const KEY_PREFIX = 'lh_';

/** The part of `Access` that is asked. */
export interface ForwardAccess {
  identify(peer: { readonly key: string | undefined; readonly remoteAddress: string }): Caller | undefined;
  take(caller: Pick<Caller, 'client'>): Taken;
}

export interface ForwardAdmissionOptions extends WantedDefaults {
  readonly access: ForwardAccess;
  readonly metrics: Pick<Metrics, 'rateLimited'>;
  /** Requests and tunnels of one client at one time. */
  readonly perClientMax: number;
}

/** A request or tunnel under way. */
export class Work {
  readonly caller: Caller;
  readonly wanted: Wanted;
  readonly owner: Owner;
  readonly #gone = new AbortController();
  readonly #onCut: () => void;
  readonly #onEnd: (work: Work) => void;

  constructor(caller: Caller, wanted: Wanted, onCut: () => void, onEnd: (work: Work) => void) {
    this.caller = caller;
    this.wanted = wanted;
    const { client, isAuthenticated } = caller;
    this.owner = isAuthenticated ? { kind: 'client', client } : { kind: 'ip', ip: client };
    this.#onCut = onCut;
    this.#onEnd = onEnd;
  }

  /** Aborted where nobody waits for it any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Its client went away. */
  readonly leave = (): void => this.#gone.abort();

  /** It isn't served any longer. */
  cut(): void {
    this.#gone.abort();
    this.#onCut();
  }

  /** Again and again, if need be. */
  readonly end = (): void => this.#onEnd(this);
}

export class ForwardAdmission {
  readonly #options: ForwardAdmissionOptions;
  readonly #works = new Set<Work>();
  readonly #perClient = new Map<string, number>();
  #isDraining = false;
  #onEmpty = () => {};

  constructor(options: ForwardAdmissionOptions) {
    this.#options = options;
  }

  /** `onCut`: cuts the connection. What comes of it is counted for its client until `end`. */
  admit({ headers, socket }: IncomingMessage, onCut: () => void): Work | (Refusal & { readonly client?: string }) {
    const { access, metrics, perClientMax } = this.#options;
    if (this.#isDraining) return refusal('draining', 'the coordinator shuts down', { retryAfterS: 1 });
    const credentials = readCredentials(headers['proxy-authorization']);
    if (credentials.type === 'malformed') {
      return refusal('credentials_wrong', 'Proxy-Authorization: must be Basic, user:password');
    }
    const key = credentials.type === 'missing' ? undefined : credentials.key;
    const caller = this.#identify(key, socket.remoteAddress ?? '');
    // The user says what is wanted: who hasn't sent one yet is asked for it, as by any proxy.
    if (credentials.type === 'missing' && (!caller || this.#options.resource === undefined)) {
      return refusal('credentials_missing', 'the user of the proxy says what is wanted: KEY-resource-7-country-us');
    }
    if (!caller) {
      const isWrong = key !== undefined;
      return isWrong
        ? refusal('credentials_wrong', 'the API key in user or password is not known')
        : refusal('credentials_missing', 'an API key is needed, in the user or as password');
    }
    const { client } = caller;
    const taken = access.take(caller);
    if (!taken.ok) {
      metrics.rateLimited('gateway');
      const retry = Number.isFinite(taken.retryAfterMs) ? { retryAfterS: seconds(taken.retryAfterMs) } : {};
      return { ...refusal('rate_limited', 'Rate limit exceeded', retry), client };
    }
    const underWay = this.#perClient.get(client) ?? 0;
    if (underWay >= perClientMax) {
      const message = `the client has ${underWay} requests and tunnels at once already`;
      return { ...refusal('too_many_requests', message, { retryAfterS: 1 }), client };
    }
    const wanted = credentials.type === 'bad_parameter' ? credentials : this.#wanted(credentials);
    if (wanted.type === 'bad_parameter') {
      const { parameter, message } = wanted;
      return { ...refusal('bad_parameter', `${parameter}: ${message}`, { path: parameter }), client };
    }
    const work = new Work(caller, wanted.wanted, onCut, (ended) => this.#ended(ended));
    this.#works.add(work);
    this.#perClient.set(client, underWay + 1);
    return work;
  }

  /** A key has come to its end: so does what goes on by it. */
  closeKey(key: string): void {
    for (const work of this.#works) if (work.caller.key === key) work.cut();
  }

  /** Resolves when nothing is under way any more; nothing new begins. */
  drained(): Promise<void> {
    this.#isDraining = true;
    if (this.#works.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  cutAll(): void {
    this.#isDraining = true;
    for (const work of this.#works) work.cut();
  }

  /** Some clients send no user without a password: where no key is needed, one that can't be a key is passed over. */
  #identify(key: string | undefined, remoteAddress: string): Caller | undefined {
    const { access } = this.#options;
    const caller = access.identify({ key, remoteAddress });
    const isPlaceholder = key !== undefined && !key.startsWith(KEY_PREFIX);
    return caller ?? (isPlaceholder ? access.identify({ key: undefined, remoteAddress }) : undefined);
  }

  #wanted(credentials: Exclude<ReturnType<typeof readCredentials>, { type: 'malformed' | 'bad_parameter' }>) {
    return readWanted(credentials.type === 'missing' ? [] : credentials.parameters, this.#options);
  }

  #ended(work: Work): void {
    if (!this.#works.delete(work)) return;
    const { client } = work.caller;
    const left = this.#perClient.get(client)! - 1;
    if (left === 0) this.#perClient.delete(client);
    else this.#perClient.set(client, left);
    if (this.#works.size === 0) this.#onEmpty();
  }
}
