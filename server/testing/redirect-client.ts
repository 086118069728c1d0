import { type CoordinatorProcess, dataFolder, samplePool, startCoordinator } from './coordinator-process.ts';

export interface RedirectAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly location: string | null;
  /** Of a problem or a configuration. */
  readonly body: Record<string, unknown>;
}

/** A coordinator whose redirect balancer is on, and how to ask it. */
export interface RedirectServed {
  readonly coordinator: CoordinatorProcess;
  readonly redirectPort: number;
  /** On the balancer's port; nothing is followed. */
  readonly ask: (path: string, init?: RequestInit) => Promise<RedirectAnswer>;
  /** The same for a video, by GET. */
  readonly video: (url: string) => Promise<RedirectAnswer>;
  /** With `body` as JSON. */
  readonly send: (method: string, path: string, body?: unknown, key?: string) => Promise<RedirectAnswer>;
}

/** `dir`: a folder to go on with. */
export async function serveRedirects(
  env: NodeJS.ProcessEnv = {},
  { dir, flags = [] }: { readonly dir?: string; readonly flags?: readonly string[] } = {},
): Promise<RedirectServed> {
  const folder = dir ?? (await dataFolder(samplePool(1))).dir;
  const coordinator = await startCoordinator(['--data-dir', folder, '--redirect-port', '0', ...flags], env);
  const redirectPort = redirectPortOf(coordinator);
  const ask = async (path: string, init: RequestInit = {}): Promise<RedirectAnswer> => {
    const response = await fetch(`http://127.0.0.1:${redirectPort}${path}`, { redirect: 'manual', ...init });
    const text = await response.text();
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    return { status: response.status, headers: response.headers, location: response.headers.get('location'), body };
  };
  return {
    coordinator,
    redirectPort,
    ask,
    video: (url) => ask(`/?video=${encodeURIComponent(url)}`),
    send: (method, path, body, key) =>
      ask(path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
      }),
  };
}

function redirectPortOf({ output }: CoordinatorProcess): number {
  const ready = output.find((line) => line.includes('"msg":"ready"'))!;
  return (JSON.parse(ready) as { redirectPort: number }).redirectPort;
}
