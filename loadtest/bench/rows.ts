import type { Row } from './row.ts';
import { cycle } from './rows/cycle.ts';
import { generator } from './rows/generator.ts';
import { pipelined } from './rows/pipelined.ts';
import { sessionsSweep } from './rows/sessions-sweep.ts';
import { single } from './rows/single.ts';

/** What `npm run bench` runs, in this order. */
export const ROWS: readonly Row[] = [generator, cycle(50), cycle(500), pipelined, single];

/** Run by name only, or for the picture. */
export const ROWS_ON_REQUEST: readonly Row[] = [sessionsSweep];
