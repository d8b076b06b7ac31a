/**
 * Policies without an SA: traps that wait for their traffic, and shunts that let pass or discard
 * (RFC 4301 §4.4.1), as children of connections ask for them.
 *
 * A selector that is `dynamic` stands in a trap for the addresses the connection would be initiated
 * from and to, and in a shunt for every address. Policies are numbered below 0, Child SAs above.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Level } from '../events/event.ts';
import type { Outcome } from '../ike/action.ts';
import type { Host } from '../io/host.ts';
import type { PacketLoopReport } from '../io/packet-loop-protocol.ts';
import {
  type ChildPolicy,
  type Connection,
  formatSelectorTemplate,
  isProtecting,
  resolveSelector,
  type SelectorTemplate,
} from '../ipsec/connection.ts';
import type { PolicyList } from '../ipsec/policy-list.ts';
import {
  ANY_PORTS,
  formatSelector,
  hostSelector,
  type TrafficSelector,
} from '../ipsec/traffic-selector.ts';
import type { PolicyView } from '../vici/control.ts';
import { anyAddress, type IpAddress, prefixRange } from '../wire/address.ts';
import { OPAQUE } from '../wire/flow.ts';
import type { InitiationPath } from './initiation-path.ts';

/** The packet that asked for an SA, from us to the peer. */
export interface Trigger {
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
}

/** What the policies are installed into, and what they set in motion. */
export interface PolicyParts {
  /** Follows the packet loop's, for listings. */
  readonly spd: PolicyList;
  host(): Pick<Host, 'installPolicy' | 'removePolicy'>;
  /** Rejects with what is missing. */
  path(connection: Connection): Promise<InitiationPath>;
  initiate(connection: string, child: string, trigger: Trigger): Promise<Outcome>;
  say(level: Level, what: string): void;
}

interface Policy {
  readonly id: number;
  readonly connection: Connection;
  readonly child: ChildPolicy;
  /** What it is installed with; undefined while addresses are looked for. */
  selectors: Selectors | undefined;
}

interface Selectors {
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
}

export class Policies {
  readonly #parts: PolicyParts;
  readonly #policies: Policy[] = [];
  #last = 0;

  constructor(parts: PolicyParts) {
    this.#parts = parts;
  }

  views(): readonly PolicyView[] {
    return this.#policies.map(viewOf);
  }

  /** Whose a policy of that number is. */
  owner(id: number): { readonly ike: string; readonly child: string } | undefined {
    const policy = this.#policies.find((one) => one.id === id);
    return policy && { ike: policy.connection.name, child: policy.child.name };
  }

  /** Throws an `Error` that says why it cannot be; one that stands already stays as it is. */
  install(connection: Connection, child: ChildPolicy): void {
    if (isProtecting(child.mode)) checkInitiable(connection);
    const before = this.#find(connection.name, child.name);
    if (before && isDeepStrictEqual([before.connection, before.child], [connection, child])) return;
    if (before) this.#remove(before);
    const policy: Policy = { id: --this.#last, connection, child, selectors: undefined };
    this.#policies.push(policy);
    this.#resolve(policy);
  }

  /** Answers false where none is installed. */
  uninstall(connection: string, child: string): boolean {
    const policy = this.#find(connection, child);
    if (policy) this.#remove(policy);
    return policy !== undefined;
  }

  /** Our addresses changed: what is `dynamic` may mean others. */
  refresh(): void {
    for (const policy of this.#policies) if (needsPath(policy.child)) this.#resolve(policy);
  }

  /** A packet waits at a trap. */
  async acquire({ policy: id, flow }: Acquire): Promise<void> {
    const policy = this.#policies.find((one) => one.id === id);
    if (!policy) return;
    const { connection, child } = policy;
    const { protocol, local, remote, localPort, remotePort } = flow;
    const trigger = {
      local: selectorOf(local, protocol, localPort),
      remote: selectorOf(remote, protocol, remotePort),
    };
    const what = `traffic of ${connection.name}/${child.name}`;
    const ends = `${formatSelector(trigger.local)} === ${formatSelector(trigger.remote)}`;
    this.#parts.say('debug', `${what} asks for an SA: ${ends}`);
    const outcome = await this.#parts.initiate(connection.name, child.name, trigger);
    if (outcome.kind === 'done') return;
    this.#parts.say('notice', `${what} has no SA: ${outcome.what}`);
  }

  #find(connection: string, child: string): Policy | undefined {
    return this.#policies.find(
      (one) => one.connection.name === connection && one.child.name === child,
    );
  }

  /** Installs with the addresses it has now; those of a trap may take a while to be known. */
  #resolve(policy: Policy): void {
    if (!needsPath(policy.child)) {
      this.#put(policy, selectorsOf(policy.child, [undefined, undefined]));
      return;
    }
    this.#parts.path(policy.connection).then(
      ({ local, remote }) => {
        if (!this.#policies.includes(policy)) return;
        this.#put(policy, selectorsOf(policy.child, [local.address, remote.address]));
      },
      (error) => {
        const what = error instanceof Error ? error.message : String(error);
        this.#parts.say('error', `the trap of ${policy.child.name} waits for addresses: ${what}`);
      },
    );
  }

  #put(policy: Policy, selectors: Selectors): void {
    if (isDeepStrictEqual(policy.selectors, selectors)) return;
    policy.selectors = selectors;
    const { id, child } = policy;
    const entry = { id, action: ACTIONS[child.mode], priority: child.priority, ...selectors };
    this.#parts.spd.insert({ ...entry, trap: 0 });
    this.#parts.host().installPolicy(entry);
  }

  #remove(policy: Policy): void {
    this.#policies.splice(this.#policies.indexOf(policy), 1);
    if (!policy.selectors) return;
    this.#parts.spd.remove(policy.id);
    this.#parts.host().removePolicy(policy.id);
  }
}

type Acquire = Extract<PacketLoopReport, { kind: 'acquire' }>;

const ACTIONS = {
  tunnel: 'trap',
  transport: 'trap',
  beet: 'trap',
  pass: 'bypass',
  drop: 'discard',
} as const;
/** strongSwan's names. */
const MODES = {
  tunnel: 'TUNNEL',
  transport: 'TRANSPORT',
  beet: 'BEET',
  pass: 'PASS',
  drop: 'DROP',
} as const;

function viewOf({ connection, child, selectors }: Policy): PolicyView {
  const texts = (templates: readonly SelectorTemplate[], resolved = selectors?.localTs) =>
    isProtecting(child.mode) && resolved
      ? resolved.map(formatSelector)
      : templates.map(formatSelectorTemplate);
  return {
    child: child.name,
    ike: connection.name,
    mode: MODES[child.mode],
    localTs: texts(child.localTs),
    remoteTs: texts(child.remoteTs, selectors?.remoteTs),
  };
}

/** A trap that cannot bring its SA up would only swallow packets. */
function checkInitiable({ name, remoteAddresses }: Connection): void {
  if (remoteAddresses.some(({ kind }) => kind === 'address' || kind === 'name')) return;
  throw new Error(
    `connection ${name} has no remote address to initiate to: ` +
      'write one in remote_addrs, or leave the trap to the peer',
  );
}

function needsPath({ mode, localTs, remoteTs }: ChildPolicy): boolean {
  return isProtecting(mode) && [...localTs, ...remoteTs].some(({ kind }) => kind === 'dynamic');
}

/** Without addresses, `dynamic` is every address. */
function selectorsOf(
  { localTs, remoteTs }: ChildPolicy,
  [local, remote]: readonly [IpAddress | undefined, IpAddress | undefined],
): Selectors {
  const resolve = (templates: readonly SelectorTemplate[], address: IpAddress | undefined) =>
    templates.flatMap((template) => {
      if (template.kind === 'fixed') return [template.selector];
      if (address) return [resolveSelector(template, address)];
      const { protocol, startPort, endPort } = template;
      return EVERYWHERE.map((range) => ({ range, protocol, startPort, endPort }));
    });
  return { localTs: resolve(localTs, local), remoteTs: resolve(remoteTs, remote) };
}

const EVERYWHERE = ([4, 6] as const).map((family) =>
  prefixRange({ address: anyAddress(family), length: 0 }),
);

/** RFC 7296 §2.9: the addresses, protocol and ports of the packet. What it does not show is any. */
function selectorOf(address: IpAddress, protocol: number, port: number): TrafficSelector {
  const ports = port === OPAQUE ? ANY_PORTS : { startPort: port, endPort: port };
  return { ...hostSelector(address), protocol: protocol === OPAQUE ? 0 : protocol, ...ports };
}
