/**
 * One device that addresses are shared on: its sockets, what is said on it, and the settings of the kernel it needs.
 *
 * A device that goes and comes back under its name is opened anew.
 */
import type { NodeId } from '../../cluster/node-id.ts';
import { PROBE_PORT } from '../../cluster/virtual-address/flooding-probe.ts';
import type { LinkCounts, LinkInput } from '../../cluster/virtual-address/shared-link.ts';
import { type LinkMode, SharedLink } from '../../cluster/virtual-address/shared-link.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import { applySettings, sharedAddressSettings } from '../../io/kernel-settings.ts';
import { LinkSocket } from '../../io/link-socket.ts';
import type { Rtnetlink } from '../../io/rtnetlink.ts';
import type { IpAddress } from '../../wire/address.ts';
import type { Instant } from '../../wire/instant.ts';
import { LinkPort, type LinkWord } from '../link-port.ts';
import type { PlannedAddress } from './address-plan.ts';

export interface SharedLinkParts {
  readonly device: string;
  readonly node: NodeId;
  readonly mode: LinkMode;
  readonly planned: readonly PlannedAddress[];
  readonly rtnetlink: Rtnetlink;
  readonly random: RandomBytes;
  readonly now: () => Instant;
  readonly told: (word: LinkWord) => void;
}

export class SharedLinkEnd {
  readonly #parts: SharedLinkParts;
  #open: { readonly port: LinkPort; readonly socket: LinkSocket; readonly link: SharedLink };
  #restore: () => void;

  /** Throws where the device is none that addresses can be shared on. */
  constructor(parts: SharedLinkParts) {
    this.#parts = parts;
    this.#restore = applySettings(sharedAddressSettings(parts.device));
    try {
      this.#open = openLink(parts);
    } catch (error) {
      this.#restore();
      throw error;
    }
  }

  get device(): string {
    return this.#parts.device;
  }

  get interfaceIndex(): number {
    return this.#open.socket.interfaceIndex;
  }

  get counts(): Readonly<LinkCounts> {
    return this.#open.link.counts;
  }

  get planned(): readonly PlannedAddress[] {
    return this.#parts.planned;
  }

  handle(input: LinkInput): void {
    this.#open.port.handle(input);
  }

  serve(addresses: readonly IpAddress[], until: Instant): void {
    this.handle({ kind: 'serve', addresses, until });
  }

  /** Takes frames to the address's hardware address, or no longer; beside what serving it asks for. */
  listen({ hardwareAddress }: PlannedAddress, on: boolean): void {
    this.#open.socket.listen(hardwareAddress, on);
  }

  /** The device of this name is another one now. */
  reopen(): void {
    this.#closeLink();
    this.#restore = applySettings(sharedAddressSettings(this.device));
    this.#open = openLink(this.#parts);
  }

  /** Says nothing any more; `keepSettings` where addresses stay behind. */
  close({ keepSettings }: { readonly keepSettings: boolean }): void {
    this.#closeLink();
    if (!keepSettings) this.#restore();
  }

  #closeLink(): void {
    this.#open.port.close();
    this.#open.socket.close();
  }
}

function openLink(parts: SharedLinkParts) {
  const { device, rtnetlink, planned, mode, node, random, now, told } = parts;
  const socket = new LinkSocket({ device, rtnetlink, probePort: PROBE_PORT });
  try {
    const own = rtnetlink.addresses().filter((one) => one.interfaceIndex === socket.interfaceIndex);
    const ipv4 = own.find(({ address }) => address.family === 4)?.address;
    const linkLocal = own.find(({ scope }) => scope === SCOPE_LINK)?.address;
    const settings = {
      mode,
      node,
      hardwareAddress: socket.hardwareAddress,
      own: { ...(ipv4 && { ipv4 }), ...(linkLocal?.family === 6 && { linkLocal }) },
      shared: planned.map(({ address, hardwareAddress }) => ({ address, hardwareAddress })),
    };
    const link = new SharedLink(settings, random);
    return { socket, link, port: new LinkPort({ link, socket, now, told }) };
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** RT_SCOPE_LINK. */
const SCOPE_LINK = 253;
