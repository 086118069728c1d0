import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

export const COMMAND = resolve(import.meta.dirname, '../../dist/server/cli/leasehold.js');

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly lines: readonly string[];
}

/** Runs the built command line to its end. */
export function leasehold(...args: readonly string[]): Promise<CommandResult> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (data: Buffer) => stdout.push(data));
    child.stderr.on('data', (data: Buffer) => stderr.push(data));
    child.on('error', fail);
    child.on('close', (code) => {
      const text = Buffer.concat(stdout).toString();
      const lines = text.split('\n').filter((line) => line !== '');
      done({ code, stdout: text, stderr: Buffer.concat(stderr).toString(), lines });
    });
  });
}

/** Its JSON lines. */
export function jsonLines({ lines }: CommandResult): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
