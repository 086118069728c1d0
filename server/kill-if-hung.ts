/**
 * Node ends its threads before it ends the process, and a thread in a call to a disk that hangs doesn't end: `process.exit`
 * then waits as long as the disk does, with the folder locked and the ports taken. Only a signal is stronger.
 */
import { spawn } from 'node:child_process';

/** For `process.exit`, which takes milliseconds where no thread hangs. */
const GRACE_SECONDS = 5;
/** What `timeout` ends with where the time was over; whatever else it ends with is no reason to kill anybody. */
const TIMED_OUT = 124;
/** Its input ends with the process that started it; where that takes too long, it ends the process. */
const SCRIPT = `timeout ${GRACE_SECONDS} cat; [ $? -ne ${TIMED_OUT} ] || kill -KILL "$0"`;

/** To be called by the process `pid` itself, right before it exits. */
export function killIfHung(pid: number): void {
  try {
    const watcher = spawn('sh', ['-c', SCRIPT, String(pid)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // A system that can start no program has to wait for its disk.
    watcher.once('error', () => undefined);
  } catch {
    // As above: some errors of the system come this way.
  }
}
