/**
 * Exchanges that cross (RFC 7296 §2.8.1, §2.8.2, §2.25): both ends begin one before either has
 * heard of the other's. Their messages are held until both are out, so that they cross surely.
 */
import assert from 'node:assert/strict';
import { Crossing } from '../../lab/crossing.ts';
import { childName, connectionName } from '../../lab/swanctl-conf.ts';
import type { GatewayNode } from '../../lab/topology.ts';
import { impatient, useLab } from '../support/lab.ts';
import { counters, more, quiet, settled, underStream } from '../support/tunnel-life.ts';

const settings = { ...impatient, deleteRekeyedDelaySeconds: 1, retransmitTimeoutSeconds: 2 };

const rekeyChild = ['--rekey', '--child', childName];
const rekeyIkeSa = ['--rekey', '--ike', connectionName];
const endChild = ['--terminate', '--child', childName];
const endIkeSa = ['--terminate', '--ike', connectionName];

const nothing = { ikeSas: 0, childSas: 0 };
const oneIkeSa = { ikeSas: 1, childSas: 0 };

/** Whose held messages go first. */
const orders: readonly GatewayNode[] = ['g1', 'g2'];

describe('Exchanges that cross (RFC 7296 §2.25)', () => {
  const lab = useLab({ subjectSettings: settings, peerSettings: settings });
  let wire: Crossing;
  before(async () => {
    wire = await Crossing.prepare(lab.topology);
  });
  afterEach(() => lab.clear());

  for (const { name, ours, theirs, replaced } of [
    {
      name: 'two rekeyings of the Child SA',
      ours: rekeyChild,
      theirs: rekeyChild,
      replaced: 'child',
    },
    { name: 'two rekeyings of the IKE SA', ours: rekeyIkeSa, theirs: rekeyIkeSa, replaced: 'ike' },
    { name: 'ours of the Child SA, theirs of the IKE SA', ours: rekeyChild, theirs: rekeyIkeSa },
    { name: 'ours of the IKE SA, theirs of the Child SA', ours: rekeyIkeSa, theirs: rekeyChild },
  ]) {
    it(`leave one IKE SA with one Child SA and lose no packet: ${name}`, async () => {
      await lab.up('initiator');
      const ends = [lab.subject, lab.peer];
      const before = await Promise.all(ends.map((end) => counters(end)));
      await underStream(lab, async () => {
        for (const first of orders) {
          await cross(ours, theirs, first);
          await settled(lab);
        }
      });
      for (const [index, end] of ends.entries()) {
        const now = await counters(end);
        const counted = more(before[index], now);
        const told = `${end.kind}: ${JSON.stringify(now)}`;
        const children = counted('child-rekey');
        const ikeSas = counted('ike-rekey-init') + counted('ike-rekey-resp');
        // RFC 7296 §2.25.2: of different ones, each end puts off the other's until later.
        assert.ok(children >= (replaced === 'child' ? orders.length : 0), told);
        assert.ok(ikeSas >= (replaced === 'ike' ? orders.length : 0), told);
        assert.ok(counted('create-child-out-req') >= orders.length, told);
        assert.ok(counted('create-child-in-req') >= orders.length, told);
      }
      await lab.carries();
    });
  }

  for (const { name, ours, theirs, left } of [
    {
      name: 'our rekeying, their end of the Child SA',
      ours: rekeyChild,
      theirs: endChild,
      left: oneIkeSa,
    },
    {
      name: 'our end, their rekeying of the Child SA',
      ours: endChild,
      theirs: rekeyChild,
      left: oneIkeSa,
    },
    { name: 'two ends of the Child SA', ours: endChild, theirs: endChild, left: oneIkeSa },
    {
      name: 'our rekeying, their end of the IKE SA',
      ours: rekeyIkeSa,
      theirs: endIkeSa,
      left: nothing,
    },
    {
      name: 'our end, their rekeying of the IKE SA',
      ours: endIkeSa,
      theirs: rekeyIkeSa,
      left: nothing,
    },
    { name: 'two ends of the IKE SA', ours: endIkeSa, theirs: endIkeSa, left: nothing },
    {
      name: 'our rekeying of the Child SA, their end of all',
      ours: rekeyChild,
      theirs: endIkeSa,
      left: nothing,
    },
    {
      name: 'our end of all, their rekeying of the Child SA',
      ours: endIkeSa,
      theirs: rekeyChild,
      left: nothing,
    },
  ]) {
    it(`leave the same at both ends: ${name}`, async () => {
      for (const first of orders) {
        await lab.up('initiator');
        await cross(ours, theirs, first);
        assert.deepEqual(await quiet(lab), left);
        await lab.clear();
      }
    });
  }

  /** Both ends ask before either hears; an end that waits for its answer gets it in the end. */
  async function cross(
    ours: readonly string[],
    theirs: readonly string[],
    first: GatewayNode,
  ): Promise<void> {
    await wire.hold();
    const asked = [lab.subject.swanctl.call(ours), lab.peer.swanctl.call(theirs)];
    await wire.holds(lab.subjectNode);
    await wire.holds(lab.peerNode);
    await wire.release(first);
    await Promise.all(asked);
  }
});
