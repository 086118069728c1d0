import { counter, type Family, family, gauge } from '../metrics/family.ts';
import { Tally } from '../metrics/tally.ts';

const OUTCOMES = ['2xx', '3xx', '4xx', '5xx', 'client_gone'] as const;

/** What the forward proxy counts, for `GET /metrics`. */
export class ForwardCounts {
  readonly #requests = new Tally(OUTCOMES);
  readonly #tunnels = new Tally(OUTCOMES);
  #retries = 0;
  tunnelsOpen = 0;

  /** As the client was answered; 499: it went away before. */
  request(kind: 'request' | 'tunnel', status: number): void {
    const tally = kind === 'tunnel' ? this.#tunnels : this.#requests;
    tally.add(status === 499 ? 'client_gone' : `${Math.floor(status / 100)}xx`);
  }

  readonly retry = (): void => {
    this.#retries += 1;
  };

  families(sessionCount: () => number): Family[] {
    const retries = () => [{ labels: {}, value: this.#retries }];
    return [
      counter('forward_requests_total', 'Requests of the forward proxy, by status.', 'status', this.#requests),
      counter('forward_tunnels_total', 'Tunnels asked of the forward proxy, by status.', 'status', this.#tunnels),
      family('counter', 'forward_retries_total', 'Requests and tunnels tried again on another address.', retries),
      gauge('forward_tunnels', 'Open tunnels.', () => this.tunnelsOpen),
      gauge('forward_sessions', 'Sticky sessions, each with an address.', sessionCount),
    ];
  }
}
