/**
 * The keys of the section `cluster { }` and of those in it. It is tsgw's own, but for `ha { }`, which
 * has the keys of charon's plugin.
 */
import type { KeyRule, SectionRule } from './section-rule.ts';

const used: KeyRule = { kind: 'used' };

function keys(...names: readonly string[]): Readonly<Record<string, KeyRule>> {
  return Object.fromEntries(names.map((name) => [name, used]));
}

const anyOf = (...names: readonly string[]): SectionRule => ({
  keys: {},
  sections: {},
  anySection: { keys: keys(...names), sections: {} },
});

const ha: SectionRule = {
  keys: {
    ...keys('local', 'remote', 'secret', 'version', 'segment_count'),
    ...keys('heartbeat_delay', 'heartbeat_timeout', 'autobalance'),
    ...keys('fifo_interface', 'monitor', 'resync'),
    buflen: {
      kind: 'no-effect',
      as: 'integer',
      accepts: ['2048'],
      why: 'messages of any length are taken',
    },
    load: { kind: 'no-effect', as: 'boolean', accepts: ['yes'], why: 'write bus = charon-ha' },
  },
  sections: { pools: { keys: {}, keyPrefixes: { '': used }, sections: {} } },
};

export const CLUSTER: SectionRule = {
  keys: {
    ...keys('enabled', 'name', 'self', 'bus', 'mode', 'secret', 'second_secret', 'port'),
    ...keys('segments', 'segment_seed', 'alone', 'preempt', 'advbase', 'defer'),
    ...keys('keep_addresses', 'fifo', 'state'),
  },
  sections: {
    nodes: anyOf('id', 'addrs', 'weight', 'advskew', 'witness'),
    addresses: anyOf('addrs', 'device', 'side', 'mac', 'prefer'),
    timers: { keys: keys('heartbeat', 'lease', 'takeover', 'digest', 'write_ahead'), sections: {} },
    replay: { keys: keys('takeover', 'sampling'), sections: {} },
    sync: { keys: keys('halfopen', 'rekey_rate'), sections: {} },
    nats: {
      keys: keys(
        ...['servers', 'bucket', 'replicas', 'user', 'password'],
        ...['credentials', 'ca', 'certificate', 'key'],
      ),
      sections: {},
    },
    ha,
  },
};
