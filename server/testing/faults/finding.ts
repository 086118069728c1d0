/**
 * A finding as a fault run says it. The seed draws what is asked of the process and when it is hit; how the machine
 * schedules it meanwhile is not in it, so the command may have to be run more than once.
 */
export function finding(run: string, seed: number, what: string): string {
  return `${run}, seed ${seed}: ${what} (again: npm run soak -- --only ${run} --seed ${seed})`;
}
