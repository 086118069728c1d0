import { basename, dirname, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** The project's root, seen from the sources as from what is compiled of them; of a planted build it is that build's. */
export const PROJECT = basename(ROOT) === 'dist' ? dirname(ROOT) : ROOT;
