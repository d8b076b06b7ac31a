/**
 * Two sites, tsgw at one, strongSwan at the other.
 *
 *   h1 ---- g1 ================= g2 ---- h2
 *           tsgw    IKEv2, ESP   strongSwan
 *
 *   10.1.0.0/16                  10.2.0.0/16
 */
import { pingAcross, type Scenario } from '../scenario.ts';

export const siteToSite: Scenario = {
  name: 'site-to-site',
  shows: 'tsgw initiates to strongSwan, IPv4 in IPv4',
  gateways: { g1: 'tsgw', g2: 'strongswan' },
  pair: {},
  initiator: 'g1',
  traffic: pingAcross,
};

export const siteToSiteResponder: Scenario = {
  ...siteToSite,
  name: 'site-to-site-responder',
  shows: 'strongSwan initiates to tsgw',
  initiator: 'g2',
};

/** No UDP encapsulation here: ESP is IP protocol 50. */
export const tsgwToTsgw: Scenario = {
  ...siteToSite,
  name: 'tsgw-to-tsgw',
  shows: 'tsgw at both ends: ESP as IP protocol 50',
  gateways: { g1: 'tsgw', g2: 'tsgw' },
};

export const strongSwanToStrongSwan: Scenario = {
  ...siteToSite,
  name: 'strongswan-to-strongswan',
  shows: 'strongSwan at both ends, to compare with',
  gateways: { g1: 'strongswan', g2: 'strongswan' },
};
