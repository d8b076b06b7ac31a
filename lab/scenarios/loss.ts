/**
 * A wire that loses five packets in a hundred, each way.
 *
 *   h1 ---- g1 === 5 % lost === g2 ---- h2
 *           tsgw                strongSwan
 */

import type { Scenario, Stage } from '../scenario.ts';
import { ping } from '../traffic.ts';

export const loss: Scenario = {
  name: 'loss',
  shows: '5 % loss each way: retransmissions in the ladder, the tunnel comes up all the same',
  gateways: { g1: 'tsgw', g2: 'strongswan' },
  settings: { retransmitTimeoutSeconds: 0.3, retransmitTries: 6, retransmitBase: 1.2 },
  pair: {},
  initiator: 'g1',
  lossPercent: 5,
  traffic: pingThroughLoss,
};

async function pingThroughLoss({ topology, say }: Stage): Promise<void> {
  const { sent, received, lossPercent } = await ping(topology, { count: 200 });
  say(`ping h1 -> h2: ${sent} sent, ${received} received, ${lossPercent.toFixed(1)} % loss`);
}
