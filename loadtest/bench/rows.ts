import type { Row } from './row.ts';
import { choose } from './rows/choose.ts';
import { cycle } from './rows/cycle.ts';
import { generator } from './rows/generator.ts';
import { pipelined } from './rows/pipelined.ts';
import { recovery } from './rows/recovery.ts';
import { reverse } from './rows/reverse.ts';
import { scaleRows } from './rows/scale-rows.ts';
import { sessionsSweep } from './rows/sessions-sweep.ts';
import { single } from './rows/single.ts';
import { snapshot } from './rows/snapshot.ts';

const cycle50 = cycle(50);

/** What `npm run bench` runs, in this order. */
export const ROWS: readonly Row[] = [
  generator,
  cycle50,
  cycle(500),
  pipelined,
  single,
  choose,
  recovery,
  snapshot,
  ...scaleRows,
  reverse,
];

/** Run by name. */
export const OTHER_ROWS: readonly Row[] = [sessionsSweep];

/** Of what `--plot` draws its pictures: latencies, and throughput over sessions. */
export const PICTURED_ROWS: readonly Row[] = [cycle50, sessionsSweep];
