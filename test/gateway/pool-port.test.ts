import assert from 'node:assert/strict';
import type { ConfigWarning } from '../../src/config/findings.ts';
import { ConfigError, type Section } from '../../src/config/section.ts';
import { PoolPort } from '../../src/gateway/pool-port.ts';
import { AddressPools } from '../../src/ipsec/address-pools.ts';
import { viciSection } from '../../src/vici/message.ts';
import { sectionFromVici } from '../../src/vici/settings.ts';
import { anyAddress } from '../../src/wire/address.ts';
import { fqdn } from '../support/connections.ts';
import { A, endpoint } from '../support/pair.ts';
import { ordered, recordedRekeying, type Tree } from '../support/recorded-views.ts';

function addresses(text: string): Section {
  return sectionFromVici(viciSection([['addrs', text]]));
}

/** The words of strongSwan for what it refuses. */
function refusal(command: string, what: string): string {
  const found = recordedRekeying().commands.find(
    (one) => one.command === command && one.what === what,
  );
  return String(found?.response?.errmsg);
}

describe('Address pools under the control', () => {
  const warnings: ConfigWarning[] = [];
  let pools: AddressPools;
  let port: PoolPort;
  beforeEach(() => {
    pools = new AddressPools();
    port = new PoolPort(pools, (some) => warnings.push(...some));
    port.load('rw', addresses('10.3.0.0/29'));
  });

  it('are listed with their leases as strongSwan lists them', () => {
    const holder = { ownSpi: '', remote: endpoint(A), isClosing: false };
    const request = { identity: fqdn('g1.lab'), requested: anyAddress(4), holder };
    pools.acquire(['rw'], request);
    const recorded = recordedRekeying().commands.find(({ what }) => what === 'leases after');
    const theirs = recorded?.response?.rw;
    const [view] = port.views();
    assert.ok(view);
    const { name, leases, ...numbers } = view;
    const ours: Tree = {
      ...Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, `${value}`])),
      leases: Object.fromEntries(leases.map((lease, index) => [`${index}`, { ...lease }])),
    };
    assert.equal(name, 'rw');
    assert.equal(ordered(ours), JSON.stringify(theirs, null, 1));
    pools.release(holder);
    assert.deepEqual(port.views()[0]?.leases, [
      { address: '10.3.0.1', identity: 'g1.lab', status: 'offline' },
    ]);
  });

  it('in use are neither replaced nor unloaded, in the words of strongSwan', () => {
    const holder = { ownSpi: '', remote: endpoint(A), isClosing: false };
    pools.acquire(['rw'], { identity: fqdn('a.lab'), requested: anyAddress(4), holder });
    const said = (act: () => void, what: string) =>
      assert.throws(act, (error) => error instanceof ConfigError && error.what === what);
    said(
      () => port.load('rw', addresses('10.3.1.0/29')),
      refusal('load-pool', 'changed while in use'),
    );
    said(() => port.unload('rw'), refusal('unload-pool', 'in use'));
    port.load('rw', addresses('10.3.0.0/29'));
    pools.release(holder);
    assert.equal(port.unload('rw'), true);
    assert.equal(port.unload('rw'), false);
  });

  it('that are wrong are refused with what to write instead', () => {
    assert.throws(() => port.load('bad', addresses('x')), /pools\.bad\.addrs = x/);
    assert.equal(port.views().length, 1);
  });
});
