/** What can't be read as a request: answered in HTTP all the same, where an answer doesn't fall into another one. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { PROBLEM_CONTENT_TYPE, type ProblemExtras, problemText } from '../../protocol/problems.ts';

const REASONS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the headers are too long'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request took too long to come'],
};

/** Answers that are under way on the connections of a server. */
export class PendingAnswers {
  readonly #bySocket = new WeakMap<Duplex, Set<ServerResponse>>();

  constructor(server: Server) {
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      const responses = this.#bySocket.get(socket) ?? new Set();
      this.#bySocket.set(socket, responses.add(response));
      response.once('close', () => responses.delete(response));
    });
  }

  /** The oldest first. */
  on(socket: Duplex): readonly ServerResponse[] {
    return [...(this.#bySocket.get(socket) ?? [])];
  }

  /**
   * Of a request that takes its connection whole: what is written there would be taken for the answer to one that came
   * before and isn't answered yet. Then the connection is cut, and true.
   */
  isCut(socket: Duplex): boolean {
    if (this.on(socket).length === 0) return false;
    socket.on('error', () => socket.destroy());
    socket.destroy();
    return true;
  }
}

/** With what status, and to which request where one could be read. */
export type Answered = (status: number, request?: IncomingMessage) => void;

/** `headers`: of each answer. */
export function answerUnreadable(
  server: Server,
  pending: PendingAnswers,
  answered: Answered,
  headers: Readonly<Record<string, string>> = {},
): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const responses = pending.on(socket);
    // A body that breaks off: whoever reads it would wait for the rest, and the connection for the answer.
    const isBody = responses.at(-1)?.req.complete === false;
    if (error.code === 'ECONNRESET' || !socket.writable || responses[0]?.headersSent || isBody) {
      socket.destroy();
    } else if (responses.length > 0) {
      // What comes behind a request that is being answered mustn't be taken for its answer.
      responses.at(-1)!.once('close', () => socket.end());
    } else {
      const [status, message] = REASONS[error.code ?? ''] ?? [400, 'not an HTTP request'];
      answered(status);
      answer(socket, status, message, headers);
    }
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const status = 417;
    answered(status, request);
    const body = problemText(status, 'Expect: only 100-continue');
    response.writeHead(status, {
      'Content-Type': PROBLEM_CONTENT_TYPE,
      'Content-Length': Buffer.byteLength(body),
      ...headers,
    });
    response.end(body);
  });
}

/** `CONNECT`, where there are no tunnels. */
export function refuseTunnels(server: Server, pending: PendingAnswers, answered: Answered): void {
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    answered(405, request);
    if (pending.isCut(socket)) return;
    socket.on('error', () => socket.destroy());
    answer(socket, 405, 'no tunnels here');
  });
}

function answer(socket: Duplex, status: number, message: string, headers: Readonly<Record<string, string>> = {}): void {
  socket.end(rawProblem(status, message, {}, headers));
}

/** A whole answer, for a socket that no response belongs to and that is closed behind it. */
export function rawProblem(
  status: number,
  message: string,
  { retryAfterS, ...extras }: ProblemExtras = {},
  headers: Readonly<Record<string, string>> = {},
): string {
  const body = problemText(status, message, extras);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...(retryAfterS === undefined ? [] : [`Retry-After: ${retryAfterS}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
