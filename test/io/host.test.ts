import assert from 'node:assert/strict';
import { createSharedCounters } from '../../src/events/shared-counters.ts';
import { installedChildSa } from '../../src/gateway/installed-child-sa.ts';
import { Host, type HostListener } from '../../src/io/host.ts';
import { childSa } from '../support/child-sas.ts';
import { A, B, endpoint } from '../support/pair.ts';

const SETTINGS = {
  device: 'tsgw-none',
  mtu: 0,
  mssClamp: true,
  offload: 'auto',
  aead: 'auto' as const,
  resolvConf: '',
  portIke: 500,
  portNatT: 4500,
} as const;

describe('A host that is not open', () => {
  const heard: string[] = [];
  const listener: HostListener = {
    datagram: () => heard.push('datagram'),
    report: ({ kind }) => heard.push(kind),
    addresses: () => heard.push('addresses'),
    replaced: () => heard.push('replaced'),
    failed: (error) => heard.push(error.message),
    warn: (what) => heard.push(what),
  };
  const host = new Host(SETTINGS, [createSharedCounters(2)], listener);

  it('sends nothing, installs nothing and says nothing', () => {
    host.sendIke(endpoint(A), endpoint(B), Uint8Array.of(1));
    host.sendNatKeepalive(endpoint(A, 4500), endpoint(B, 4500));
    host.install(installedChildSa(childSa(), { rowIn: 0, rowOut: 1 }));
    host.setOutbound(7, 'never');
    host.move(7, childSa());
    host.remove(7);
    host.installPolicy({ id: -1, action: 'discard', localTs: [], remoteTs: [], priority: 0 });
    host.removePolicy(-1);
    host.installVirtual(1, { addresses: [endpoint(A).address], nameServers: [] });
    host.removeVirtual(1);
    assert.deepEqual(heard, []);
  });

  it('knows no route, and resolves names', async () => {
    assert.equal(host.sourceFor(endpoint(B).address), undefined);
    assert.deepEqual(await host.resolve(B), [endpoint(B).address]);
  });

  it('may be closed, and closed again', async () => {
    await host.close();
    await host.close();
    assert.deepEqual(heard, []);
  });
});
