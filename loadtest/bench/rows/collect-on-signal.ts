/**
 * Loaded into a coordinator before its own modules, with `--expose-gc`: collects garbage when told by SIGUSR2, so that what
 * its memory comes to is what it holds, and not what it has not yet thrown away.
 */
process.on('SIGUSR2', () => globalThis.gc?.());
