/**
 * Cases side by side for one run, each with a topology of its own, so that they can take turns.
 *
 * A tunnel that this machine or this build does not have, and a peer that does not come up, leave a
 * reason in the report instead of a row of figures; what is left stands and is measured.
 */
import { buildTopology, type Offloads, setOffloads, type Topology } from '../lab/topology.ts';
import { ping } from '../lab/traffic.ts';
import { NotAvailable, type Tunnel } from '../lab/tunnel.ts';
import { type CaseName, type CaseTerms, caseOf } from './cases.ts';

export interface Standing {
  readonly name: CaseName;
  readonly topology: Topology;
  readonly tunnel: Tunnel | undefined;
}

/** A case that could not be measured. */
export interface Absent {
  readonly name: CaseName;
  readonly title: string;
  readonly reason: string;
}

export interface StandOptions {
  readonly terms: CaseTerms;
  readonly progress: (line: string) => void;
}

export class Stand {
  readonly #standing: Standing[] = [];
  readonly #absent: Absent[] = [];
  readonly #offloads = new Map<Topology, Offloads>();

  /** The caller takes it down, also when a measurement breaks. */
  static async build(names: readonly CaseName[], options: StandOptions): Promise<Stand> {
    const stand = new Stand();
    try {
      for (const name of names) await stand.#add(name, options);
      return stand;
    } catch (error) {
      await stand.takeDown();
      throw error;
    }
  }

  get standing(): readonly Standing[] {
    return this.#standing;
  }

  get absent(): readonly Absent[] {
    return this.#absent;
  }

  /**
   * Gateways stand on while the links change under them. Checksum offload always stays: without it the
   * kernel refuses UDP_SEGMENT, and who was refused once may do without for good.
   */
  async setOffloads({ topology }: Standing, offloads: Offloads): Promise<void> {
    if (this.#offloads.get(topology) === offloads) return;
    await setOffloads(topology, offloads);
    this.#offloads.set(topology, offloads);
  }

  async takeDown(): Promise<void> {
    await Promise.all(this.#standing.map(({ tunnel }) => tunnel?.stop()));
    for (const { topology } of this.#standing) topology.network.destroy();
  }

  async #add(name: CaseName, { terms, progress }: StandOptions): Promise<void> {
    const { title } = caseOf(name);
    try {
      this.#standing.push(await standUp(name, terms));
      progress(`${title}: ready`);
    } catch (error) {
      // Of tsgw as it comes a figure must be had; for all others a reason will do.
      if (!(error instanceof NotAvailable) && (name === 'tsgw' || name === 'plain')) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      this.#absent.push({ name, title, reason });
      progress(`${title}: not available: ${reason}`);
    }
  }
}

async function standUp(name: CaseName, terms: CaseTerms): Promise<Standing> {
  const topology = await buildTopology();
  let tunnel: Tunnel | undefined;
  try {
    tunnel = await caseOf(name).start(topology, terms);
    const { received } = await ping(topology, { family: terms.family });
    if (received === 0) throw new Error(`${name}: no ping came back`);
    return { name, topology, tunnel };
  } catch (error) {
    await tunnel?.stop();
    topology.network.destroy();
    throw error;
  }
}
