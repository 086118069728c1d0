/**
 * The target site: serves pages at /r/RESOURCE/page/N and writes down who asked, through which proxy, from when to when.
 *
 * The proxy is told by the address that its connection comes from, which no collector can choose. The collector and its
 * lease are what the request's headers say.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Visit } from './demo-overlaps.ts';

export interface SiteVisit extends Visit {
  /** The whole page was answered. */
  readonly complete: boolean;
}

export interface Site {
  readonly port: number;
  /** Requests so far, those still open included. */
  visits(): readonly SiteVisit[];
  /** Milliseconds by the clock of the visits. */
  now(): number;
  close(): Promise<void>;
}

/** Beyond it the site answers 503 and throws at the next look: a record with gaps would prove nothing. */
const VISITS_MAX = 200_000;
/** A page takes a while, as pages do: without it nothing could be caught in the middle. */
const PAGE_MS_MIN = 20;
const PAGE_MS_SPREAD = 80;
const PAGE_BYTES = 4_096;

const PAGE_PATH = /^\/r\/([1-9]\d{0,8})\/page\/\d+$/;
const TOKEN = /^[1-9]\d{0,15}$/;

export async function openSite(): Promise<Site> {
  const visits: SiteVisit[] = [];
  const now = () => performance.now();
  let isFull = false;

  const server = createServer((request, response) => {
    const resource = PAGE_PATH.exec(request.url ?? '')?.[1];
    if (resource === undefined) return void response.writeHead(404).end();
    if (visits.length >= VISITS_MAX) {
      isFull = true;
      return void response.writeHead(503).end();
    }
    const visit: { -readonly [Field in keyof SiteVisit]: SiteVisit[Field] } = {
      proxy: request.socket.remoteAddress ?? '',
      resource: Number(resource),
      ...claims(request),
      startMs: now(),
      endMs: undefined,
      complete: false,
    };
    visits.push(visit);
    // The answer has been handed on before its reader can have it. What is cut ends when the site hears of it.
    response.once('finish', () => {
      visit.endMs = now();
      visit.complete = true;
    });
    response.once('close', () => {
      visit.endMs ??= now();
    });
    answer(response, request.url!);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });

  return {
    port: (server.address() as AddressInfo).port,
    visits() {
      if (isFull) throw new Error(`the site saw more than ${VISITS_MAX} requests and could not write all of them down`);
      return visits;
    },
    now,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function claims({ headers }: IncomingMessage): Pick<Visit, 'collector' | 'lease'> {
  const { 'x-collector': collector, 'x-lease': lease } = headers;
  return {
    collector: typeof collector === 'string' ? collector : '',
    lease: typeof lease === 'string' && TOKEN.test(lease) ? Number(lease) : undefined,
  };
}

function answer(response: ServerResponse, path: string): void {
  const timer = setTimeout(
    () => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(`<title>${path}</title>`.padEnd(PAGE_BYTES, '.'));
    },
    PAGE_MS_MIN + Math.random() * PAGE_MS_SPREAD,
  );
  response.once('close', () => clearTimeout(timer));
}
