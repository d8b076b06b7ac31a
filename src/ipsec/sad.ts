/**
 * Look-up in the Security Association Database (RFC 4301 §4.4.2, §4.1): from the SPI of an
 * inbound packet to the row that holds its SA.
 *
 * Open addressing with linear probing over typed arrays; a look-up allocates nothing. SPI 0 stands
 * for an empty slot: it is never on the wire (RFC 4303 §2.1).
 */

const ABSENT = -1;

export class Sad {
  #spis = new Uint32Array(16);
  #rows = new Int32Array(16);
  #mask = 15;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The row of an SPI, or -1. */
  find(spi: number): number {
    const slot = this.#slotOf(spi);
    return this.#spis[slot] === 0 ? ABSENT : (this.#rows[slot] ?? ABSENT);
  }

  /** Answers false when the SPI is taken; the row that has it stays. */
  insert(spi: number, row: number): boolean {
    if (spi >>> 0 === 0 || row < 0) throw new RangeError(`SPI ${spi} in row ${row}`);
    if ((this.#size + 1) * 2 > this.#spis.length) this.#grow();
    const slot = this.#slotOf(spi);
    if (this.#spis[slot] !== 0) return false;
    this.#spis[slot] = spi;
    this.#rows[slot] = row;
    this.#size++;
    return true;
  }

  /** Answers whether the SPI was there. */
  remove(spi: number): boolean {
    let hole = this.#slotOf(spi);
    if (this.#spis[hole] === 0) return false;
    // Entries behind the hole move into it where their probe would otherwise end too early.
    for (let slot = this.#after(hole); this.#spis[slot] !== 0; slot = this.#after(slot)) {
      const moved = this.#spis[slot] ?? 0;
      const probeLength = (slot - this.#home(moved)) & this.#mask;
      if (probeLength >= ((slot - hole) & this.#mask)) {
        this.#spis[hole] = moved;
        this.#rows[hole] = this.#rows[slot] ?? ABSENT;
        hole = slot;
      }
    }
    this.#spis[hole] = 0;
    this.#size--;
    return true;
  }

  /** The slot of the SPI, or the empty one where it would go. */
  #slotOf(spi: number): number {
    const wanted = spi >>> 0;
    let slot = this.#home(wanted);
    while (this.#spis[slot] !== 0 && this.#spis[slot] !== wanted) slot = this.#after(slot);
    return slot;
  }

  #home(spi: number): number {
    const mixed = Math.imul(spi ^ (spi >>> 15), 0x9e3779b1);
    return (mixed ^ (mixed >>> 16)) & this.#mask;
  }

  #after(slot: number): number {
    return (slot + 1) & this.#mask;
  }

  #grow(): void {
    const spis = this.#spis;
    const rows = this.#rows;
    this.#spis = new Uint32Array(spis.length * 2);
    this.#rows = new Int32Array(spis.length * 2);
    this.#mask = this.#spis.length - 1;
    for (const [index, spi] of spis.entries()) {
      if (spi === 0) continue;
      const slot = this.#slotOf(spi);
      this.#spis[slot] = spi;
      this.#rows[slot] = rows[index] ?? ABSENT;
    }
  }
}
