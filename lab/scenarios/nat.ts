/**
 * tsgw behind a NAT that changes address and port.
 *
 *   h1 ---- g1 ------------- nat ============ g2 ---- h2
 *           198.51.100.1     192.0.2.254      192.0.2.2
 *           tsgw             masquerade       strongSwan
 */
import { pingAcross, type Scenario } from '../scenario.ts';

export const nat: Scenario = {
  name: 'nat',
  shows: 'tsgw behind a NAT: NAT detection, port 4500, UDP encapsulation',
  nat: true,
  gateways: { g1: 'tsgw', g2: 'strongswan' },
  pair: { g2: { remoteAddress: '%any' } },
  initiator: 'g1',
  traffic: pingAcross,
};

export const natResponder: Scenario = {
  ...nat,
  name: 'nat-responder',
  shows: 'strongSwan behind a NAT calls tsgw',
  gateways: { g1: 'strongswan', g2: 'tsgw' },
};
