/** Slots, or nodes of one level, below one node. As many as a word has bits: level 0 looks at a bitset word by word. */
export const FAN_OUT = 32;
const FAN_OUT_BITS = 5;

/**
 * A tree over slots. A node of level 0 sums up the eligible ones among 32 slots, a node of any other level 32 nodes of the
 * level below; the highest level is the root alone. Wide rather than deep: a change looks at a few runs of neighbours in
 * memory, not at twenty places all over it.
 */
export abstract class SlotTree {
  /** Nodes per level. */
  protected readonly sizes: readonly number[];

  constructor(capacity: number) {
    const sizes = [Math.ceil(capacity / FAN_OUT)];
    while (sizes.at(-1)! > 1) sizes.push(Math.ceil(sizes.at(-1)! / FAN_OUT));
    this.sizes = sizes;
  }

  /** Whether `slot` became eligible or ceased to be, or what counts of it changed: O(log n). */
  update(slot: number): void {
    let node = slot;
    for (let level = 0; level < this.sizes.length; level += 1) {
      node >>>= FAN_OUT_BITS;
      if (!this.renew(level, node)) return;
    }
  }

  /** Makes a node anew from what lies below it; says whether it changed. */
  protected abstract renew(level: number, node: number): boolean;

  protected renewAll(): void {
    for (const [level, size] of this.sizes.entries()) {
      for (let node = 0; node < size; node += 1) this.renew(level, node);
    }
  }
}
