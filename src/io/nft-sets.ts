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
    const changes = contents.flatMap((content) => messagesOf(table, content));
    const asked = changes.map((message, index) =>
      index === changes.length - 1
        ? { ...message, flags: message.flags | NetlinkFlag.ACK }
        : message,
    );
    const names = contents.map(({ set }) => set).join(', ');
    const [begin, end] = [batchMark(MessageType.BATCH_BEGIN), batchMark(MessageType.BATCH_END)];
    this.#netlink ??= new Netlink(this.#addon, NetlinkProtocol.NETFILTER);
    this.#netlink.batch(`sets ${names} of table ${table}`, [begin, ...asked, end]);
  }
}

/** First nothing, then the keys; so many in one message as an attribute holds. */
function messagesOf(table: string, { set, keys }: SetContent): readonly NetlinkMessage[] {
  const named = () =>
    new NetlinkWriter()
      .u8(NFPROTO_NETDEV, 0, 0, 0)
      .attribute(Attribute.TABLE, nameOctets(table))
      .attribute(Attribute.SET, nameOctets(set));
  const messages: NetlinkMessage[] = [
    { type: MessageType.DELETE_ELEMENTS, flags: 0, body: named().finish() },
  ];
  for (let first = 0; first < keys.length; first += KEYS_IN_ONE) {
    const list = elementsOf(keys.slice(first, first + KEYS_IN_ONE));
    const body = named()
      .attribute(NESTED | Attribute.ELEMENTS, list)
      .finish();
    messages.push({ type: MessageType.NEW_ELEMENTS, flags: NetlinkFlag.CREATE, body });
  }
  return messages;
}

/** Three attributes in one another for each key: an element, its key, its value. */
function elementsOf(keys: readonly Uint8Array[]): Uint8Array {
  const list = new NetlinkWriter();
  for (const key of keys) {
    const padded = (key.length + 3) & ~3;
    list.u16(12 + padded).u16(NESTED | LIST_ELEMENT);
    list.u16(8 + padded).u16(NESTED | ELEMENT_KEY);
    list.attribute(DATA_VALUE, key);
  }
  return list.finish();
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
const DATA_VALUE = 1;
/** Of 16 octets each; an attribute says its length with 16 bits. */
const KEYS_IN_ONE = 1024;

const MessageType = {
  BATCH_BEGIN: 0x10,
  BATCH_END: 0x11,
  NEW_ELEMENTS: (SUBSYSTEM << 8) | 12,
  DELETE_ELEMENTS: (SUBSYSTEM << 8) | 14,
} as const;

const Attribute = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
