import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { keepTrack } from '../processes.ts';
import type { FromGenerator, LoadResult, LoadTask } from './task.ts';

const PROGRAM = join(import.meta.dirname, 'generator.js');

/** The load generator. One for each server that it loads: it knows one protocol then, and is compiled for that. */
export class GeneratorProcess {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(PROGRAM, { env: { PATH: process.env['PATH'] } });
    keepTrack(this.#child);
  }

  /** `onWindow` hears when what counts begins and ends. Throws with the reason where the load met any failure. */
  run(task: LoadTask, onWindow: (edge: 'begun' | 'ended') => void): Promise<LoadResult> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const onMessage = (message: FromGenerator) => {
        if (message.type === 'begun' || message.type === 'ended') return onWindow(message.type);
        child.off('message', onMessage);
        child.off('exit', onExit);
        if (message.type === 'result') resolve(message.result);
        else if (message.type === 'failed') reject(new Error(message.message));
      };
      const onExit = () => reject(new Error('the load generator ended'));
      child.on('message', onMessage);
      child.on('exit', onExit);
      child.send(task);
    });
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
