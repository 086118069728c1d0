/** For `skipIf`: what can't run here is a skip that says so, never a pass. `why` undefined: it can. */
export function isSkipped(what: string, why: string | undefined): boolean {
  if (why !== undefined) process.stderr.write(`SKIPPED: ${what}: ${why}\n`);
  return why !== undefined;
}
