import type { Transport, TransportOptions } from './transport.ts';
import { openUwsWith } from './uws.ts';
import { loadUws, type UwsModule } from './uws-module.ts';

/** `auto`: uWebSockets.js where it can be loaded and there is no TLS, else ws. */
export const TRANSPORT_KINDS = ['auto', 'uws', 'ws'] as const;
export type TransportKind = (typeof TRANSPORT_KINDS)[number];

export interface TransportLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/**
 * Opens the transport of that kind. Rejects where it can't listen (no other transport could either), and where `uws`
 * was asked for by name and can't be loaded.
 */
export async function openTransport(
  kind: TransportKind,
  options: TransportOptions,
  log: TransportLog,
  load: () => UwsModule = loadUws,
): Promise<Transport> {
  if (kind === 'ws') return openWs(options);
  if (kind === 'auto' && options.tls !== undefined) {
    // See uws.ts: who asks for it by name has weighed that.
    log.info({}, 'serving with ws: uWebSockets.js may break TLS connections on which much comes at once');
    return openWs(options);
  }
  let uws: UwsModule;
  try {
    uws = load();
  } catch (cause) {
    const reason = oneLine(cause);
    if (kind === 'uws') throw new Error(`transport uws: uWebSockets.js can't be loaded: ${reason}`, { cause });
    log.warn({ reason }, "uWebSockets.js can't be loaded, serving with ws instead");
    return openWs(options);
  }
  return openUwsWith(uws, options);
}

/** Loaded only where it serves: a start has enough to load. */
async function openWs(options: TransportOptions): Promise<Transport> {
  const ws = await import('./ws.ts');
  return ws.openWs(options);
}

/** The library's own message runs over several lines, Node's over a list of files. */
function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\nRequire stack:[^]*/, '').replace(/\s+/g, ' ');
}
