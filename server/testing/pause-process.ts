/** Holds up this thread, as if somebody had stopped the process: its timers are due before it looks at its sockets again. */
export function pauseProcess(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
