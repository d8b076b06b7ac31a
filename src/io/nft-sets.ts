/**
 * What is in sets of the kernel's packet filter, replaced over netlink (Linux `linux/netfilter/nf_tables.h`): a
 * fraction of a millisecond, where a run of `nft` takes ten. The sets are there already, made by `nft.ts`.
 *
 *   octet 0     family
 *   octet 1     version, 0
 *   octets 2-3  resource, in network order: of a batch the subsystem
 */
import { concatOctets } from '../wire/octets.ts';
import { type Native, native } from './native.ts';
import {
  Netlink,
  NetlinkFlag,
  type NetlinkMessage,
  NetlinkProtocol,
  NetlinkWriter,
} from './netlink.ts';

/** A set and all it is to have: keys as the kernel has them, integers in the order of the machine. */
export interface SetContent {
  readonly set: string;
  readonly keys: readonly Uint8Array[];
}

/** What changes in a map: keys that go, which are there, and keys that come, which are not; one may do both. */
export interface MapChange {
  readonly map: string;
  readonly gone: readonly Uint8Array[];
  readonly come: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[];
}

export class NftSets {
  readonly #addon: Native;
  /** Opened when it is needed first: a machine without a packet filter has no such sockets. */
  #netlink: Netlink | undefined;

  constructor(addon: Native = native()) {
    this.#addon = addon;
  }

  close(): void {
    this.#netlink?.close();
    this.#netlink = undefined;
  }

  /** All of these sets of a table of the family `netdev`, at once. Throws `NetlinkError`, and nothing changed then. */
  replace(table: string, contents: readonly SetContent[]): void {
    const what = `sets ${contents.map(({ set }) => set).join(', ')} of table ${table}`;
    const messages = contents.flatMap(({ set, keys }) => {
      const named = namedSet(table, set);
      const cleared = { type: MessageType.DELETE_ELEMENTS, flags: 0, body: named };
      const elements = keys.map((key) => ({ key }));
      return [cleared, ...elementMessages(MessageType.NEW_ELEMENTS, named, elements)];
    });
    this.#batch(what, messages);
  }

  /** All of it or nothing; throws `NetlinkError`. Not more than a few thousand keys. */
  change(table: string, changes: readonly MapChange[]): void {
    const what = `maps ${changes.map(({ map }) => map).join(', ')} of table ${table}`;
    const messages = changes.flatMap(({ map, gone, come }) => {
      const named = namedSet(table, map);
      const leaving = gone.map((key) => ({ key }));
      return [
        ...elementMessages(MessageType.DELETE_ELEMENTS, named, leaving),
        ...elementMessages(MessageType.NEW_ELEMENTS, named, come),
      ];
    });
    if (messages.length > 0) this.#batch(what, messages);
  }

  /** The last one is acknowledged, and with it all. */
  #batch(what: string, messages: readonly NetlinkMessage[]): void {
    const asked = messages.map((message, index) =>
      index === messages.length - 1
        ? { ...message, flags: message.flags | NetlinkFlag.ACK }
        : message,
    );
    const [begin, end] = [batchMark(MessageType.BATCH_BEGIN), batchMark(MessageType.BATCH_END)];
    this.#netlink ??= new Netlink(this.#addon, NetlinkProtocol.NETFILTER);
    this.#netlink.batch(what, [begin, ...asked, end]);
  }
}

interface Element {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
}

function namedSet(table: string, set: string): Uint8Array {
  return new NetlinkWriter()
    .u8(NFPROTO_NETDEV, 0, 0, 0)
    .attribute(Attribute.TABLE, nameOctets(table))
    .attribute(Attribute.SET, nameOctets(set))
    .finish();
}

/** So many in one message as an attribute holds. */
function elementMessages(
  type: number,
  named: Uint8Array,
  elements: readonly Element[],
): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let first = 0; first < elements.length; first += KEYS_IN_ONE) {
    const list = elementsOf(elements.slice(first, first + KEYS_IN_ONE));
    const body = new NetlinkWriter()
      .octets(named)
      .attribute(NESTED | Attribute.ELEMENTS, list)
      .finish();
    const flags = type === MessageType.NEW_ELEMENTS ? NetlinkFlag.CREATE : 0;
    messages.push({ type, flags, body });
  }
  return messages;
}

/** Attributes in one another for each: an element, its key and what that holds, and the same of its value. */
function elementsOf(elements: readonly Element[]): Uint8Array {
  const list = new NetlinkWriter();
  for (const { key, value } of elements) {
    const [keyLength, valueLength] = [nestedLength(key), value ? nestedLength(value) : 0];
    list.u16(4 + keyLength + valueLength).u16(NESTED | LIST_ELEMENT);
    list.u16(keyLength).u16(NESTED | ELEMENT_KEY);
    list.attribute(DATA_VALUE, key);
    if (value === undefined) continue;
    list.u16(valueLength).u16(NESTED | ELEMENT_DATA);
    list.attribute(DATA_VALUE, value);
  }
  return list.finish();
}

function nestedLength(octets: Uint8Array): number {
  return 8 + ((octets.length + 3) & ~3);
}

function batchMark(type: number): NetlinkMessage {
  return { type, flags: 0, body: Uint8Array.of(0, 0, 0, SUBSYSTEM) };
}

function nameOctets(name: string): Uint8Array {
  return concatOctets(new TextEncoder().encode(name), Uint8Array.of(0));
}

const SUBSYSTEM = 10;
const NFPROTO_NETDEV = 5;
const NESTED = 0x8000;
const LIST_ELEMENT = 1;
const ELEMENT_KEY = 1;
const ELEMENT_DATA = 2;
const DATA_VALUE = 1;
/** Of 40 octets each at most; an attribute says its length with 16 bits. */
const KEYS_IN_ONE = 1024;

const MessageType = {
  BATCH_BEGIN: 0x10,
  BATCH_END: 0x11,
  NEW_ELEMENTS: (SUBSYSTEM << 8) | 12,
  DELETE_ELEMENTS: (SUBSYSTEM << 8) | 14,
} as const;

const Attribute = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
