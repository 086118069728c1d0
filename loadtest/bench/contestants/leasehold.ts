import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RESOURCE } from '../generator/request-writer.ts';
import { Program, ROOT } from '../processes.ts';
import type { Contestant } from './contestant.ts';
import { uwsMissing } from './uws-missing.ts';

/** More than ever are leased at a time, so that each acquire is granted at once. */
const ADDRESSES = 10_000;

/** The coordinator as `npm start` runs it, with all its defaults. */
function leasehold(transport: 'uws' | 'ws'): Contestant {
  return {
    name: `Leasehold on ${transport}`,
    speaks: 'leasehold',
    missing: transport === 'uws' ? uwsMissing : () => undefined,
    async start(folder) {
      const pool = join(folder, 'pool.json');
      await writeFile(pool, JSON.stringify(Array.from({ length: ADDRESSES }, (_, index) => address(index))));
      const flags = { port: 0, 'admin-port': 0, 'data-dir': join(folder, 'data'), pool, transport };
      const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
      let port: number | undefined;
      const server = new Program(
        process.execPath,
        ['--enable-source-maps', join(ROOT, 'dist/server/main.js'), ...args],
        {
          onLine: (line) => {
            if (port === undefined && line.includes('"msg":"ready"'))
              port = (JSON.parse(line) as { port: number }).port;
          },
        },
      );
      return { server, port: await server.until('be ready', () => port) };
    },
  };
}

function address(index: number): object {
  return { address: `10.0.${index >>> 8}.${index & 255}:8080`, country: 'US', rpw: 0, resource_ids: [RESOURCE] };
}

export const LEASEHOLD_UWS = leasehold('uws');
export const LEASEHOLD_WS = leasehold('ws');
