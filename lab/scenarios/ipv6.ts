/**
 * IPv6 outside and inside.
 *
 *   h1 ---- g1 ======================= g2 ---- h2
 *           2001:db8:f::1  2001:db8:f::2
 *
 *   2001:db8:1::/64                2001:db8:2::/64
 */
import { pingAcross, type Scenario } from '../scenario.ts';

export const ipv6: Scenario = {
  name: 'ipv6',
  shows: 'IPv6 in IPv6, tsgw to strongSwan',
  gateways: { g1: 'tsgw', g2: 'strongswan' },
  pair: { outer: 'ipv6', inner: 'ipv6' },
  initiator: 'g1',
  traffic: (stage) => pingAcross(stage, { family: 'ipv6' }),
};
