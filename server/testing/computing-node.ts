/**
 * The Node that runs what tests only compute, in processes of its own. Leasehold is tested on Node 20 and 24: the gate
 * computes on the one of `node-24/`, where that could be installed (vitest.gate.config.ts); coordinators run on its own.
 */
export const COMPUTING_NODE = process.env['COMPUTING_NODE'] ?? process.execPath;
