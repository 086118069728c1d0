/** Tokens as MessagePack's uint64: `cf`, then eight bytes, big-endian. */
import { addExtension } from 'msgpackr';
import type { CollectorFrame, CoordinatorFrame } from './frames.ts';

/** A token on its way to the encoder. */
class WireToken {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** Room in the encoder's buffer, from `position` on. */
type Allocate = (bytes: number) => { target: Uint8Array; targetView: DataView; position: number };

// The encoder writes a number beyond 32 bits as float64 and a BigInt below 2⁶³ as int64. This takes the way of its own
// extension for dates: what is written into allocated room, with nothing returned, stands there as it is. So no ext
// value ever leaves, and the type, which must be given, is never used.
addExtension({
  Class: WireToken,
  type: 1,
  pack: ((token: WireToken, allocate: Allocate) => {
    const { target, targetView, position } = allocate(9);
    target[position] = 0xcf;
    targetView.setUint32(position + 1, Math.floor(token.value / 2 ** 32));
    targetView.setUint32(position + 5, token.value >>> 0);
  }) as unknown as (token: WireToken) => Uint8Array,
});

interface MayNameLeases {
  lease?: unknown;
  leases?: unknown;
  ended?: unknown;
  substitute?: unknown;
}

/** The frame with every token as the encoder is to write it. The frame itself is left as it is. */
export function withWireTokens(frame: CollectorFrame | CoordinatorFrame): object {
  const { lease, leases } = frame as MayNameLeases;
  if (lease === undefined && leases === undefined) return frame;
  const { ended, substitute } = frame as MayNameLeases;
  const copy = { ...frame } as MayNameLeases;
  if (typeof lease === 'number') copy.lease = new WireToken(lease);
  if (Array.isArray(leases)) copy.leases = leases.map(withWireToken);
  if (Array.isArray(ended)) copy.ended = ended.map(withWireToken);
  if (substitute !== undefined) copy.substitute = withWireToken(substitute);
  return copy;
}

/** A token, or an entry of a list that names one. */
function withWireToken(entry: unknown): object {
  if (typeof entry === 'number') return new WireToken(entry);
  const { lease } = entry as { lease: number };
  return { ...(entry as object), lease: new WireToken(lease) };
}
