/** What the coordinator takes and how it behaves where there is very much of something. */
import type { Row } from '../row.ts';
import { expiryLateness } from './expiry-lateness.ts';
import { idleSessions } from './idle-sessions.ts';
import { importMillion } from './import-million.ts';
import { leasesMemory } from './leases-memory.ts';
import { resources } from './resources.ts';
import { revokeFanOut } from './revoke-fan-out.ts';

export const scaleRows: readonly Row[] = [
  leasesMemory(),
  expiryLateness(),
  idleSessions(),
  revokeFanOut(),
  importMillion(),
  resources(),
];
