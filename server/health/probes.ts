/** One look at a server: does it take a connection, does it answer. They never reject; what went wrong is a word. */
import http from 'node:http';
import https from 'node:https';
import { connect } from 'node:net';
import type { ProbeResult } from './prober.ts';

/** What a probe, or a request, found wrong; a status is `status_503`. */
export const FAULTS = [
  'refused',
  'timeout',
  'reset',
  'unreachable',
  'dns',
  'tls',
  'protocol',
  'proxy',
  'failed',
] as const;
export type Fault = (typeof FAULTS)[number];

const FAULT_OF_CODE: Readonly<Record<string, Fault>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_NONAME: 'dns',
  EAI_FAIL: 'dns',
  UND_ERR_PRX_TLS: 'tls',
  EPROTO: 'tls',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
};
/** Of OpenSSL and of Node's own look at certificates. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/;
/** Of the parser, whose answer it is that this is no HTTP. */
const PROTOCOL_CODE = /^HPE_/;
/** Errors wrap the one that caused them; more than this are a circle. */
const CAUSES_MAX = 5;

/** The word for an error. Never its message, which may name an address with its credentials. */
export function faultOf(error: unknown): Fault {
  let cause = error;
  for (let depth = 0; depth < CAUSES_MAX && typeof cause === 'object' && cause !== null; depth += 1) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string') {
      if (TLS_CODE.test(code)) return 'tls';
      if (PROTOCOL_CODE.test(code)) return 'protocol';
      const fault = FAULT_OF_CODE[code];
      if (fault) return fault;
    }
    const { errors } = cause as { errors?: unknown };
    // Of an AggregateError, each address of a name having been tried, the first speaks.
    cause = Array.isArray(errors) ? errors[0] : (cause as { cause?: unknown }).cause;
  }
  return 'failed';
}

/** Whether somebody takes connections there. */
export function probeTcp(host: string, port: number, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve({ ok: true });
    });
    socket.on('error', (error) => resolve(failedBy(error, signal)));
  });
}

export interface HttpProbe {
  readonly url: URL;
  /** Statuses that are good. */
  readonly expect: readonly number[];
  /** What the connection takes beside its address, and the request beside its URL: headers, certificates, a socket. */
  readonly options?: https.RequestOptions;
}

/** Whether a GET, on a connection of its own, is answered with a status that is expected. Its body isn't read. */
export function probeHttp({ url, expect, options }: HttpProbe, signal: AbortSignal): Promise<ProbeResult> {
  const { request: send } = url.protocol === 'https:' ? https : http;
  return statusOf(send(url, { ...options, agent: false, signal }), expect, signal);
}

/** Sends the request, and is done with its connection once the status is there. */
export function statusOf(
  request: http.ClientRequest,
  expect: readonly number[],
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    request.once('response', ({ statusCode = 0 }) => {
      resolve(expect.includes(statusCode) ? { ok: true } : badStatus(statusCode));
      request.destroy();
    });
    request.on('error', (error) => resolve(failedBy(error, signal)));
    // However it ended: the first word counts.
    request.once('close', () => resolve({ ok: false, reason: 'reset' }));
    request.end();
  });
}

export function badStatus(status: number | undefined): ProbeResult {
  return { ok: false, reason: `status_${status}` };
}

export function failedBy(error: unknown, signal: AbortSignal): ProbeResult {
  return { ok: false, reason: signal.aborted ? 'timeout' : faultOf(error) };
}
