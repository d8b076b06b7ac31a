/**
 * IKE with others than strongSwan, on any kernel; no ESP passes.
 *
 *   g1 ================= g2
 *   tsgw      IKEv2      pluto of libreswan, iked of OpenIKED
 */
import { HeldWire } from '../held-wire.ts';
import { firstChild } from '../ike-peer.ts';
import { type IkePeerScenario, replaced } from '../ike-peer-scenario.ts';
import { Libreswan } from '../libreswan.ts';
import { OpenIked } from '../openiked.ts';

export const libreswan: IkePeerScenario = {
  name: 'libreswan',
  shows: 'tsgw and libreswan: each replaces the Child SA once, then tsgw deletes all (IKE only)',
  pair: {},
  peer: (topology) => new Libreswan(topology, 'g2'),
  life: async (stage) => {
    const { tsgw, peer } = stage;
    const first = await replaced(stage, undefined);
    await tsgw.swanctl.must(['--rekey', '--child', 'net']);
    const second = await replaced(stage, first);
    await peer.rekeyChildSa(firstChild(second));
    await replaced(stage, second);
    await tsgw.swanctl.must(['--terminate', '--ike', 'peer']);
  },
};

/** Two requests cross on the wire, two successors are made, one is deleted (RFC 7296 §2.8.1). */
export const crossing: IkePeerScenario = {
  name: 'crossing',
  shows: 'tsgw and OpenIKED replace the Child SA at the same moment (IKE only)',
  pair: { espProposals: 'aes256-sha512' },
  peer: (topology) => new OpenIked(topology, 'g2'),
  life: async (stage) => {
    const { topology, tsgw, peer } = stage;
    const first = await replaced(stage, undefined);
    const wire = await HeldWire.hold(topology);
    try {
      await tsgw.swanctl.must(['--rekey', '--child', 'net']);
      await peer.rekeyChildSa(firstChild(first));
      await wire.holds('g1', 1);
      await wire.holds('g2', 1);
    } finally {
      await wire.end();
    }
    await replaced(stage, first);
  },
};
