import { type CoordinatorProcess, dataFolder, samplePool, startCoordinator } from './coordinator-process.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export interface HttpServed {
  readonly coordinator: CoordinatorProcess;
  readonly ask: (path: string, init?: RequestInit) => Promise<HttpAnswer>;
  /** With `body` as JSON. */
  readonly send: (method: string, path: string, body: unknown) => Promise<HttpAnswer>;
}

/** A coordinator that goes with the test, and how to ask its HTTP port. */
export async function serveHttp(
  env: NodeJS.ProcessEnv = {},
  pool: readonly unknown[] = samplePool(2, [7], ['US', 'DE']),
): Promise<HttpServed> {
  const { dir, poolFile } = await dataFolder(pool);
  const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile], env);
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${coordinator.adminPort}${path}`, init);
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, headers: response.headers, body };
  };
  return {
    coordinator,
    ask,
    send: (method, path, body) =>
      ask(path, { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
  };
}
