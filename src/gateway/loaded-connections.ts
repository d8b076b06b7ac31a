/**
 * Connections as they are loaded, changed and unloaded: what each step starts, stops and leaves.
 *
 * What is up stays up under the policy it was made with, until it is rekeyed or ends. Loading again
 * what did not change does nothing at all; nothing here touches an SA of another connection.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  type ChildPolicy,
  type Connection,
  isProtecting,
  wantsStart,
  wantsTrap,
} from '../ipsec/connection.ts';
import type { Pad } from '../ipsec/pad.ts';

/** What loading sets in motion. */
export interface ConnectionEffects {
  readonly pad: Pad;
  /** Tells the PAD where the connection's names are, as soon as that is known. */
  resolveNames(connection: Connection): void;
  initiate(connection: string, child: string): void;
  /** Of several nodes of a cluster, this one begins it. */
  begins(connection: string): boolean;
  /** Is there a Child SA of it? */
  isUp(connection: string, child: string): boolean;
  /** Ends attempts of ours to bring the connection up, and nothing that is up; were there some? */
  abandon(connection: string): boolean;
  /** Puts up the trap or the shunt of a child, or takes it down. */
  install(connection: Connection, child: ChildPolicy): void;
  uninstall(connection: string, child: string): void;
}

export class LoadedConnections {
  readonly #effects: ConnectionEffects;

  constructor(effects: ConnectionEffects) {
    this.#effects = effects;
  }

  /** False where nothing changed. */
  load(connection: Connection): boolean {
    const { pad } = this.#effects;
    const before = pad.connection(connection.name);
    if (before && isDeepStrictEqual(before, connection)) return false;
    pad.load(connection);
    this.#effects.resolveNames(connection);
    const changed = changedChildren(before, connection);
    const stale = (before?.children ?? []).filter((child) => {
      const now = connection.children.find(({ name }) => name === child.name);
      return !now || changed.has(now);
    });
    for (const { name } of stale) this.#effects.uninstall(connection.name, name);
    // An attempt under the old settings would bring up what nobody wants any more.
    const abandoned = stale.length > 0 && this.#effects.abandon(connection.name);
    for (const child of connection.children) {
      if (changed.has(child) && wantsTrap(child.startAction)) {
        this.#effects.install(connection, child);
      }
      if (changed.has(child) || abandoned) this.#start(connection, child);
    }
    return true;
  }

  /** False where there is none of the name. */
  unload(name: string): boolean {
    const connection = this.#effects.pad.connection(name);
    if (!connection) return false;
    this.#effects.pad.unload(name);
    for (const child of connection.children) this.#effects.uninstall(name, child.name);
    this.#effects.abandon(name);
    return true;
  }

  /** What should be up and is not, now that this node may begin more than before. */
  startAll(): void {
    for (const connection of this.#effects.pad.connections()) {
      for (const child of connection.children) this.#start(connection, child);
    }
  }

  #start({ name }: Connection, child: ChildPolicy): void {
    if (!isProtecting(child.mode) || !wantsStart(child.startAction)) return;
    if (!this.#effects.begins(name)) return;
    // What is up takes the change over when it is rekeyed.
    if (!this.#effects.isUp(name, child.name)) this.#effects.initiate(name, child.name);
  }
}

/** New children, changed ones, and all where the connection itself changed. */
function changedChildren(
  before: Connection | undefined,
  connection: Connection,
): ReadonlySet<ChildPolicy> {
  if (!before) return new Set(connection.children);
  const { children: _before, ...was } = before;
  const { children, ...is } = connection;
  if (!isDeepStrictEqual(was, is)) return new Set(children);
  return new Set(
    children.filter((child) => !before.children.some((one) => isDeepStrictEqual(one, child))),
  );
}
