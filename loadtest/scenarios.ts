/** What there is to run: each scenario is a file of artillery's in scenarios/, and here what it needs around it. */

export type Variables = Readonly<Record<string, number | string>>;

export interface Scenario {
  /** One line, for people. */
  readonly says: string;
  /** How long it takes where nobody says otherwise, the arrival of collectors aside. */
  readonly seconds: number;
  /** What may be set by `--set`, with its default. */
  readonly variables: Readonly<Record<string, number>>;
  /** Of `variables` as set: what else the file refers to. */
  readonly derived?: (variables: Readonly<Record<string, number>>, seconds: number) => Variables;
  /** Addresses in the pool, all of them for resource 7. */
  readonly addresses: (variables: Readonly<Record<string, number>>) => number;
  /** Which listener `url` names. */
  readonly target: 'websocket' | 'admin' | 'reverse' | 'redirect';
  /** Servers behind the reverse proxy. */
  readonly backends?: number;
  /** Of the coordinator. */
  readonly flags?: (variables: Readonly<Record<string, number>>) => Readonly<Record<string, string>>;
  /** It needs so long to show what it is there for. Absent: a second. */
  readonly secondsMin?: number;
  /** When the coordinator is killed and started again, as a share of `seconds`. */
  readonly restartAt?: number;
  /** The durable counter to which each collector adds; what it says at the end is compared. */
  readonly counter?: string;
}

const RESTART_COUNTER = 'restart';
/** Of a collector in steady.yml: four requests on four beats of half a second. */
const STEADY_REQUESTS_PER_SECOND = 2;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  steady: {
    says: 'acquire, report, renew and release at 50 requests a second',
    seconds: 20,
    variables: { collectors: 25 },
    derived: ({ collectors = 0 }) => ({ rate: collectors * STEADY_REQUESTS_PER_SECOND }),
    addresses: ({ collectors = 0 }) => collectors * 2,
    target: 'websocket',
  },
  ramp: {
    says: 'load that rises to collectors × 10 requests a second and falls again',
    seconds: 20,
    variables: { collectors: 60 },
    derived: (_, seconds) => ({ half: Math.max(1, Math.round(seconds / 2)) }),
    addresses: ({ collectors = 0 }) => collectors * 2,
    target: 'websocket',
  },
  idle: {
    says: 'many collectors that only keep a lease each',
    seconds: 20,
    variables: { collectors: 500 },
    derived: (_, seconds) => ({ hold_ms: seconds * 1_000 }),
    addresses: ({ collectors = 0 }) => collectors,
    target: 'websocket',
    // One renewal of each lease is behind it then.
    secondsMin: 4,
  },
  expiry: {
    says: 'leases that nobody renews: lateness of the pushes about their end',
    seconds: 15,
    variables: { collectors: 50 },
    addresses: ({ collectors = 0 }) => collectors * 2,
    target: 'websocket',
  },
  contention: {
    says: 'one resource, more collectors than addresses, all of them waiting',
    seconds: 15,
    variables: { collectors: 30, addresses: 5 },
    addresses: ({ addresses = 0 }) => addresses,
    target: 'websocket',
  },
  churn: {
    says: 'sessions cut off without a word: their addresses are free again at once',
    seconds: 15,
    variables: { sessions_per_second: 20, addresses: 20 },
    derived: ({ sessions_per_second: perSecond = 0 }, seconds) => ({ sessions: perSecond * seconds }),
    addresses: ({ addresses = 0 }) => addresses,
    target: 'websocket',
  },
  restart: {
    says: 'the coordinator is killed in the middle and started again; nothing acknowledged is lost',
    seconds: 20,
    variables: { collectors: 40 },
    derived: () => ({ counter: RESTART_COUNTER }),
    addresses: ({ collectors = 0 }) => collectors * 2,
    target: 'websocket',
    secondsMin: 6,
    restartAt: 0.5,
    counter: RESTART_COUNTER,
  },
  allocate: {
    says: 'addresses by HTTP: /allocate',
    seconds: 15,
    variables: { clients_per_second: 10 },
    // Five requests of a client, each of which leases for a second, and twice that to spare.
    addresses: ({ clients_per_second: perSecond = 0 }) => perSecond * 15,
    target: 'admin',
  },
  'reverse-proxy': {
    says: 'the reverse proxy in front of three targets',
    seconds: 15,
    variables: { clients_per_second: 10 },
    addresses: () => 0,
    target: 'reverse',
    backends: 3,
  },
  redirect: {
    says: 'the redirect balancer',
    seconds: 15,
    variables: { clients_per_second: 10, distribution_rate: 10 },
    addresses: () => 0,
    target: 'redirect',
    flags: ({ distribution_rate: rate = 1 }) => ({ 'distribution-rate': String(rate) }),
  },
};

export const RESOURCE = 7;

/** A pool of addresses that nobody ever goes to. */
export function poolOf(addresses: number) {
  return Array.from({ length: addresses }, (_, index) => ({
    address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:8080`,
    country: index % 2 === 0 ? 'US' : 'DE',
    rpw: 0,
    resource_ids: [RESOURCE],
  }));
}
