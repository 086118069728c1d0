/**
 * The failures that touch the disk, in the words of the table of what the coordinator survives, and the file that holds
 * the tests of each: a `describe` of the same words.
 */
export const DISK_FAILURES: Readonly<Record<string, string>> = {
  'torn tail, zeros, an empty segment prepared ahead': 'server/failure-table.test.ts',
  'bad batch with a good one after it; bad newest snapshot without an older one and all deltas':
    'server/failure-table.test.ts',
  'bad newest snapshot, older one and all deltas there (two generations are kept)': 'server/failure-table.test.ts',
  "deltas that don't start at position 0, with no snapshot reaching them": 'server/failure-table.test.ts',
  'a restored copy, an unmounted volume': 'server/failure-table.gate.test.ts',
  'a hanging disk': 'server/failure-table.gate.test.ts',
  'fsync or write fails (EIO)': 'server/failure-table.gate.test.ts',
  'no space': 'server/failure-table.gate.test.ts',
  'kill -9, restart mid-TTL': 'server/failure-table.test.ts',
  'restart every half TTL': 'server/time.test.ts',
  'two coordinators on one folder': 'server/failure-table.test.ts',
};
