/** What a picture says of its day and its machine. */
import { readFile, readlink, stat } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename } from 'node:path';

/** By the names that Linux gives to devices. Whether a virtual disk turns, the machine itself isn't told. */
const DISK_KINDS = [
  ['nvme', 'NVMe disk'],
  ['vd', 'virtual disk'],
  ['xvd', 'virtual disk'],
  ['sd', 'SCSI or SATA disk'],
  ['dm-', 'mapped disk'],
  ['md', 'RAID'],
] as const;

/** Of today, this machine, and the disk behind `dir`. */
export async function subtitleOf(dir: string): Promise<string> {
  const today = new Date().toISOString().slice(0, 10);
  const cores = cpus();
  return [
    today,
    `${cores.length} cores of ${cores[0]?.model ?? 'an unknown kind'}`,
    await diskKind(dir),
    `Node ${process.version}`,
  ].join(' · ');
}

/** Major and minor number of the device that a folder is on, as Linux packs them. */
function deviceOf(dev: number): string {
  const major = ((dev >>> 8) & 0xfff) | (Math.floor(dev / 2 ** 32) & ~0xfff);
  const minor = (dev & 0xff) | ((dev >>> 12) & ~0xff);
  return `${major}:${minor}`;
}

/** As far as Linux tells; elsewhere nothing is known of it. */
async function diskKind(dir: string): Promise<string> {
  const device = deviceOf((await stat(dir)).dev);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const mount = mounts.split('\n').find((line) => line.split(' ')[2] === device);
  const fileSystem = mount?.split(' - ')[1]?.split(' ')[0];
  if (fileSystem === 'tmpfs') return 'files in memory';
  const name = basename(await readlink(`/sys/dev/block/${device}`).catch(() => ''));
  const disk = DISK_KINDS.find(([prefix]) => name.startsWith(prefix))?.[1] ?? 'disk';
  return fileSystem === undefined ? disk : `${disk}, ${fileSystem}`;
}
