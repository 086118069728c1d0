import { join } from 'node:path';
import { Program, ROOT } from './processes.ts';

const MAIN = join(ROOT, 'dist/server/main.js');

export interface StartedCoordinator {
  readonly server: Program;
  readonly port: number;
  readonly adminPort: number;
}

/**
 * The coordinator as it ships, on free ports. `flags`: by name without dashes. Resolves when it is ready; rejects with the end of
 * its log where it isn't in time, which is the program's own bound unless `readyMsMax` says another.
 */
export async function startCoordinator(
  nodeFlags: readonly string[],
  flags: Readonly<Record<string, string>>,
  readyMsMax?: number,
): Promise<StartedCoordinator> {
  const all = { port: '0', 'admin-port': '0', ...flags };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  let ready: { readonly port: number; readonly adminPort: number } | undefined;
  const server = new Program(process.execPath, [...nodeFlags, MAIN, ...args], {
    onLine: (line) => {
      if (ready === undefined && line.includes('"msg":"ready"')) ready = JSON.parse(line) as NonNullable<typeof ready>;
    },
  });
  const { port, adminPort } = await server.until('be ready', () => ready, readyMsMax);
  return { server, port, adminPort };
}
