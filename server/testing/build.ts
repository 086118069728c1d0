import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

/**
 * Builds what ships, and what tests run beside it, once for the whole run: tests of processes run that, never an older
 * build. Types are checked by `npm run lint` and `npm run build`.
 */
export default function setup(): void {
  const project = resolve(import.meta.dirname, '../..');
  for (const config of ['tsconfig.build.json', 'server/testing']) {
    const arguments_ = ['-p', config, '--noCheck'];
    execFileSync(resolve(project, 'node_modules/.bin/tsc'), arguments_, { cwd: project, stdio: 'inherit' });
  }
}
