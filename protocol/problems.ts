/** Errors over HTTP: problem+json (RFC 9457) that also carries `code`, the status, and `message`. */

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly code: number;
  readonly message: string;
  /** Word of the wire for it (`unknown_resource`, `none_available`, …), where there is one. */
  readonly reason?: string;
  /** Which part of the request it is about. */
  readonly path?: string;
  readonly [extension: string]: unknown;
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  507: 'Insufficient Storage',
};

export interface ProblemExtras {
  readonly reason?: string;
  readonly path?: string;
  /** Seconds, for `Retry-After`. */
  readonly retryAfterS?: number;
  readonly [extension: string]: unknown;
}

/** What a problem is written as. */
export function problemText(
  status: number,
  message: string,
  extensions: Omit<ProblemExtras, 'retryAfterS'> = {},
): string {
  const title = TITLES[status] ?? 'Error';
  const problem: Problem = { type: 'about:blank', title, status, code: status, message, ...extensions };
  return JSON.stringify(problem);
}

/** The whole response; `Retry-After` in seconds where it is known. */
export function problemResponse(status: number, message: string, extras: ProblemExtras = {}): Response {
  const { retryAfterS, ...rest } = extras;
  const headers = new Headers({ 'Content-Type': PROBLEM_CONTENT_TYPE, 'Cache-Control': 'no-store' });
  if (retryAfterS !== undefined) headers.set('Retry-After', String(retryAfterS));
  return new Response(problemText(status, message, rest), { status, headers });
}
