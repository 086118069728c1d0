/**
 * What we use of uWebSockets.js, in our own words: the package is an optional dependency, so neither types nor build
 * may need it to be there.
 */
import { createRequire } from 'node:module';

/** In a variable, so that no compiler or bundler looks for it. */
const MODULE_NAME = 'uWebSockets.js';

/** Valid from `open` until `close`; every method throws afterwards. One object for a socket, so that it may carry ours. */
export interface UwsWebSocket<UserData> {
  getUserData(): UserData;
  /** Writes what the kernel takes and queues a copy of the rest. 1: nothing is queued; 0: something is; 2: dropped. */
  send(message: Uint8Array | string, isBinary: boolean, compress: boolean): number;
  ping(): number;
  getBufferedAmount(): number;
  /** Sends a close frame and calls `close` at once, before it returns. */
  end(code: number, reason: string): void;
  /** Cuts the connection and calls `close` at once, before it returns. */
  close(): void;
}

/** Valid during the handler that got it, or until `end`. */
export interface UwsResponse {
  writeStatus(status: string): UwsResponse;
  writeHeader(name: string, value: string): UwsResponse;
  end(body: string, closeConnection: boolean): UwsResponse;
  getRemoteAddressAsText(): ArrayBuffer;
  upgrade<UserData>(userData: UserData, key: string, subprotocol: string, extensions: string, context: unknown): void;
}

/** Valid during the handler that got it. */
export interface UwsRequest {
  /** Empty where there is none. */
  getHeader(lowerCaseName: string): string;
  forEach(visit: (lowerCaseName: string, value: string) => void): void;
}

export interface UwsBehavior<UserData> {
  readonly compression: number;
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly idleTimeout: number;
  readonly sendPingsAutomatically: boolean;
  upgrade(response: UwsResponse, request: UwsRequest, context: unknown): void;
  open(ws: UwsWebSocket<UserData>): void;
  /** `message` is only lent: it is detached when the handler returns. */
  message(ws: UwsWebSocket<UserData>, message: ArrayBuffer, isBinary: boolean): void;
  /** A ping has come in; the pong has been queued already. */
  ping(ws: UwsWebSocket<UserData>): void;
  pong(ws: UwsWebSocket<UserData>): void;
  /** Some of what was queued has been taken. */
  drain(ws: UwsWebSocket<UserData>): void;
  close(ws: UwsWebSocket<UserData>, code: number): void;
}

export interface UwsApp {
  ws<UserData>(pattern: string, behavior: UwsBehavior<UserData>): UwsApp;
  any(pattern: string, handler: (response: UwsResponse) => void): UwsApp;
  /** Calls back before it returns; false: not listening, and no reason given. */
  listen(host: string, port: number, options: number, callback: (listenSocket: unknown) => void): UwsApp;
  /** Closes the listening socket and cuts every connection. */
  close(): UwsApp;
}

export interface UwsModule {
  App(): UwsApp;
  /** Reads the files before it returns; throws where they are no certificate and its key, without a reason. */
  SSLApp(options: { readonly cert_file_name: string; readonly key_file_name: string }): UwsApp;
  /** At once; connections that were accepted on it live on. */
  us_listen_socket_close(listenSocket: unknown): void;
  us_socket_local_port(listenSocket: unknown): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
  readonly DISABLED: number;
}

/** Throws where the package is not installed or has no binary for this platform and Node version. */
export function loadUws(): UwsModule {
  return createRequire(import.meta.url)(MODULE_NAME) as UwsModule;
}
