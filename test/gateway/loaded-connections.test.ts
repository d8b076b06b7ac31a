import assert from 'node:assert/strict';
import { LoadedConnections } from '../../src/gateway/loaded-connections.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { Pad } from '../../src/ipsec/pad.ts';
import { child, connection } from '../support/connections.ts';

/** Loads connections and keeps what that set in motion. */
class Loading {
  readonly pad = new Pad();
  readonly did: string[] = [];
  readonly up = new Set<string>();
  /** Connections that an attempt of ours is bringing up. */
  readonly attempts = new Set<string>();
  /** This node of a cluster begins connections. */
  begins = true;
  readonly loaded = new LoadedConnections({
    pad: this.pad,
    resolveNames: ({ name }) => void this.did.push(`resolve ${name}`),
    initiate: (name, policy) => void this.did.push(`initiate ${name}/${policy}`),
    begins: () => this.begins,
    isUp: (name, policy) => this.up.has(`${name}/${policy}`),
    abandon: (name) => {
      const had = this.attempts.delete(name);
      if (had) this.did.push(`abandon ${name}`);
      return had;
    },
    install: ({ name }, policy) => void this.did.push(`install ${name}/${policy.name}`),
    uninstall: (name, policy) => void this.did.push(`uninstall ${name}/${policy}`),
  });

  /** What loading it sets in motion. */
  load(one: Connection): readonly string[] {
    this.did.length = 0;
    this.loaded.load(one);
    return [...this.did];
  }

  unload(name: string): readonly string[] {
    this.did.length = 0;
    this.loaded.unload(name);
    return [...this.did];
  }
}

const net = child({ name: 'net', startAction: 'start' });
const trap = child({ name: 'trp', startAction: 'trap' });
const both = child({ name: 'both', startAction: 'trap|start' });
const shunt = child({ name: 'byp', mode: 'pass', startAction: 'trap|start' });
const idle = child({ name: 'idle' });

function peer(...children: Connection['children']): Connection {
  return connection({ name: 'peer', children });
}

describe('Loading connections', () => {
  let test: Loading;
  beforeEach(() => {
    test = new Loading();
  });

  it('begins what the start actions of a new connection say', () => {
    assert.deepEqual(test.load(peer(net, trap, both, shunt, idle)), [
      'resolve peer',
      'initiate peer/net',
      'install peer/trp',
      'install peer/both',
      'initiate peer/both',
      'install peer/byp',
    ]);
    assert.equal(test.pad.connection('peer')?.children.length, 5);
  });

  it('begins what another node of the cluster has begun so far, and nothing that is up', () => {
    test.begins = false;
    assert.deepEqual(test.load(peer(net, trap, both, idle)), [
      'resolve peer',
      'install peer/trp',
      'install peer/both',
    ]);
    test.begins = true;
    test.up.add('peer/net');
    test.did.length = 0;
    test.loaded.startAll();
    assert.deepEqual(test.did, ['initiate peer/both']);
  });

  it('does nothing where nothing changed', () => {
    test.load(peer(net, trap));
    test.attempts.add('peer');
    assert.deepEqual(test.load(peer({ ...net }, { ...trap })), []);
    assert.equal(test.loaded.load(peer(net, trap)), false);
  });

  it('leaves the other children alone when one is added, changed or removed', () => {
    test.load(peer(net, trap));
    assert.deepEqual(test.load(peer(net, trap, both)), [
      'resolve peer',
      'install peer/both',
      'initiate peer/both',
    ]);
    assert.deepEqual(test.load(peer(net, { ...trap, priority: 7 }, both)), [
      'resolve peer',
      'uninstall peer/trp',
      'install peer/trp',
    ]);
    assert.deepEqual(test.load(peer(net, both)), ['resolve peer', 'uninstall peer/trp']);
  });

  it('takes a trap down that is no longer wanted', () => {
    test.load(peer(trap));
    assert.deepEqual(test.load(peer({ ...trap, startAction: 'none' })), [
      'resolve peer',
      'uninstall peer/trp',
    ]);
  });

  it('does not start what is up, whatever changed', () => {
    test.load(peer(net));
    test.up.add('peer/net');
    assert.deepEqual(test.load({ ...peer(net), encap: true }), [
      'resolve peer',
      'uninstall peer/net',
    ]);
    assert.equal(test.pad.connection('peer')?.encap, true);
  });

  it('starts again what is not up when the connection itself changed', () => {
    test.load(peer(net, idle));
    test.attempts.add('peer');
    assert.deepEqual(test.load({ ...peer(net, idle), encap: true }), [
      'resolve peer',
      'uninstall peer/net',
      'uninstall peer/idle',
      'abandon peer',
      'initiate peer/net',
    ]);
  });

  it('starts again what an attempt under an old child would have brought up as well', () => {
    test.load(peer(net, both));
    test.attempts.add('peer');
    assert.deepEqual(test.load(peer(net, { ...both, priority: 7 })), [
      'resolve peer',
      'uninstall peer/both',
      'abandon peer',
      'initiate peer/net',
      'install peer/both',
      'initiate peer/both',
    ]);
  });

  it('touches no other connection', () => {
    test.load(peer(net));
    test.load(connection({ name: 'other', children: [net] }));
    assert.ok(test.load({ ...peer(net), encap: true }).every((step) => !step.includes('other')));
    assert.ok(test.unload('peer').every((step) => !step.includes('other')));
  });

  it('unloads what is not up and nothing else, once', () => {
    test.load(peer(net, trap));
    test.attempts.add('peer');
    assert.deepEqual(test.unload('peer'), [
      'uninstall peer/net',
      'uninstall peer/trp',
      'abandon peer',
    ]);
    assert.equal(test.loaded.unload('peer'), false);
    assert.equal(test.pad.connection('peer'), undefined);
  });

  it('starts nothing twice when it is unloaded and loaded again while up', () => {
    test.load(peer(net));
    test.up.add('peer/net');
    test.unload('peer');
    assert.deepEqual(test.load(peer(net)), ['resolve peer']);
  });
});
