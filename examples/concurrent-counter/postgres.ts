/**
 * A PostgreSQL for as long as the example runs: a cluster in a temporary folder, reached through a Unix socket in that
 * folder, which nobody else may enter. So it needs no port and no password. Started as root it runs as another user,
 * for the server refuses root. It touches no server that is installed or runs already.
 */
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { Child, until } from '../demo-processes.ts';

/** Where Debian keeps the programs of each version; only some of them are in the PATH. */
const DEBIAN_VERSIONS = '/usr/lib/postgresql';
/** Who runs the server where we are root: the user that Debian's package makes, or one that every system has. */
const USERS = ['postgres', 'nobody'];
/** In the database. */
const SUPERUSER = 'postgres';
const READY = 'database system is ready to accept connections';
const READY_MS_MAX = 60_000;
/** Less than the system takes for the path of a socket (107 bytes), by the socket's own name. */
const FOLDER_BYTES_MAX = 80;
/** A few connections on a few megabytes; all else is as it comes, durable commits among it. */
const SETTINGS = { listen_addresses: '', max_connections: '40', shared_buffers: '16MB', jit: 'off' };

const run = promisify(execFile);

export interface Postgres {
  /** For the client: the folder of the socket, the user, the database. */
  readonly connection: { readonly host: string; readonly user: string; readonly database: string };
  /** Ends it at once, and removes it. */
  readonly stop: () => Promise<void>;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** The folder of `initdb` and `postgres`: of the PATH, else Debian's newest version. Undefined where there is none. */
export async function findPostgres(): Promise<string | undefined> {
  const versions = (await namesIn(DEBIAN_VERSIONS)).sort((a, b) => Number(b) - Number(a));
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    ...versions.map((version) => join(DEBIAN_VERSIONS, version, 'bin')),
  ];
  for (const folder of folders) {
    const names = await namesIn(folder);
    if (names.includes('initdb') && names.includes('postgres')) return folder;
  }
  return undefined;
}

/** Resolves once it takes connections. Leaves nothing behind where it doesn't come to that. */
export async function startPostgres(programs: string, signal: AbortSignal): Promise<Postgres> {
  const user = process.getuid?.() === 0 ? await findUser() : undefined;
  const folder = await makeFolder(user);
  let server: Child | undefined;
  const stop = async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (user) await chown(folder, user.uid, user.gid);
    const data = join(folder, 'data');
    const options = { cwd: folder, ...user };
    const initFlags = ['-D', data, '-U', SUPERUSER, '--auth=trust', '--locale=C', '--encoding=UTF8', '--no-sync'];
    await run(join(programs, 'initdb'), initFlags, { ...options, signal });

    let isReady = false;
    const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const started = new Child({
      command: join(programs, 'postgres'),
      args: ['-D', data, '-k', folder, ...settings],
      options,
      onLine: (line) => {
        isReady ||= line.includes(READY);
      },
      // What it holds goes with it: it needs no time to write. Even so it frees its shared memory; killed, it would not.
      stopSignal: 'SIGQUIT',
      killSignal: 'SIGQUIT',
    });
    server = started;
    let failure: unknown;
    started.exited.catch((error: unknown) => {
      failure = error;
      server = undefined;
    });
    await until('PostgreSQL to be ready', READY_MS_MAX, signal, () => {
      if (failure !== undefined) throw failure;
      if (started.exit) throw new Error(`PostgreSQL didn't start:\n${started.output}`);
      return isReady || undefined;
    });
    return { connection: { host: folder, user: SUPERUSER, database: 'postgres' }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function findUser(): Promise<User> {
  for (const name of USERS) {
    const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => idOf(flag, name)));
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error(`PostgreSQL refuses to run as root, and there is none of the users ${USERS.join(', ')}`);
}

async function idOf(flag: string, user: string): Promise<number | undefined> {
  const { stdout } = await run('id', [flag, user]).catch(() => ({ stdout: '' }));
  return stdout === '' ? undefined : Number(stdout);
}

/** Where temporary files go, unless `user` can't get there (a private folder of root's) or its path is too long. */
async function makeFolder(user: User | undefined): Promise<string> {
  for (const parent of [await realpath(tmpdir()), '/tmp']) {
    if (Buffer.byteLength(parent) > FOLDER_BYTES_MAX) continue;
    const isReachable = await run('test', ['-x', parent], { cwd: '/', ...user }).then(
      () => true,
      () => false,
    );
    if (isReachable) return mkdtemp(join(parent, 'leasehold-pg-'));
  }
  throw new Error(`no folder for PostgreSQL: ${tmpdir()} and /tmp are out of its user's reach or their paths too long`);
}

async function namesIn(folder: string): Promise<string[]> {
  return folder === '' ? [] : readdir(folder).catch(() => []);
}
