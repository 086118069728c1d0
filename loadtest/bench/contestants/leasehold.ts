import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RESOURCE } from '../generator/request-writer.ts';
import { startCoordinator } from '../started-coordinator.ts';
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
      const flags = { 'data-dir': join(folder, 'data'), pool, transport };
      return startCoordinator(['--enable-source-maps'], flags);
    },
  };
}

function address(index: number): object {
  return { address: `10.0.${index >>> 8}.${index & 255}:8080`, country: 'US', rpw: 0, resource_ids: [RESOURCE] };
}

export const LEASEHOLD_UWS = leasehold('uws');
export const LEASEHOLD_WS = leasehold('ws');
