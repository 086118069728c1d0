import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

const BYTES_MIN = 64 * 1024;
/** Of a number with its head, and of the longest head of an array. */
const PLAIN_BYTES_MAX = 9;
/** Longer texts are rare, and the library's. */
const TEXT_LENGTH_MAX = 64;

/**
 * Values as MessagePack, one behind the other in one buffer, byte for byte as the library writes them. Numbers, short texts
 * and arrays of them are nearly all that events consist of: written here they cost a fraction, and no garbage. Anything else
 * is left to the library.
 */
export class RecordWriter {
  #bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
  #end = 0;

  /** Bytes written. */
  get length(): number {
    return this.#end;
  }

  write(value: unknown): void {
    if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'string') this.#text(value);
    else if (Array.isArray(value)) this.#array(value);
    else if (value === null) this.#byte(0xc0);
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2);
    else this.#other(value);
  }

  /** Forgets what was written from `length` on. */
  cut(length: number): void {
    this.#end = length;
  }

  /** A copy of the first `length` bytes, which are forgotten. */
  take(length: number): Uint8Array {
    const taken = Buffer.from(this.#bytes.subarray(0, length));
    this.#bytes.copyWithin(0, length, this.#end);
    this.#end -= length;
    return taken;
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#end++] = byte;
  }

  #number(value: number): void {
    this.#reserve(PLAIN_BYTES_MAX);
    const bytes = this.#bytes;
    let end = this.#end;
    if (value >>> 0 === value) {
      if (value < 0x80) bytes[end++] = value;
      else if (value < 0x100) {
        bytes[end++] = 0xcc;
        bytes[end++] = value;
      } else if (value < 0x10000) {
        bytes[end++] = 0xcd;
        bytes[end++] = value >>> 8;
        bytes[end++] = value;
      } else {
        bytes[end++] = 0xce;
        bytes[end++] = value >>> 24;
        bytes[end++] = value >>> 16;
        bytes[end++] = value >>> 8;
        bytes[end++] = value;
      }
      this.#end = end;
    } else if (value >> 0 === value) this.#other(value);
    else {
      bytes[end] = 0xcb;
      this.#end = bytes.writeDoubleBE(value, end + 1);
    }
  }

  #text(text: string): void {
    const { length } = text;
    if (length > TEXT_LENGTH_MAX) return this.#other(text);
    this.#reserve(2 + length);
    const bytes = this.#bytes;
    let end = this.#end;
    if (length < 0x20) bytes[end++] = 0xa0 | length;
    else {
      bytes[end++] = 0xd9;
      bytes[end++] = length;
    }
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code >= 0x80) return this.#other(text);
      bytes[end++] = code;
    }
    this.#end = end;
  }

  #array(values: readonly unknown[]): void {
    const { length } = values;
    if (length >= 0x10) {
      this.#reserve(PLAIN_BYTES_MAX);
      if (length >= 0x10000) return this.#other(values);
      this.#bytes[this.#end] = 0xdc;
      this.#end = this.#bytes.writeUInt16BE(length, this.#end + 1);
    } else this.#byte(0x90 | length);
    for (let index = 0; index < length; index += 1) this.write(values[index]);
  }

  #other(value: unknown): void {
    const packed = packr.pack(value);
    this.#reserve(packed.length);
    this.#bytes.set(packed, this.#end);
    this.#end += packed.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#bytes.length) return;
    const longer = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    longer.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = longer;
  }
}
