/**
 * tsgw's own listings, in the same protocol: `tsgw-status`, `tsgw-sad`, `tsgw-spd`.
 *
 * Each row of the SAD and the SPD is an event of its own, so that no answer grows with the number
 * of SAs.
 */
import type { SadView, SpdView, StatsView } from './control.ts';
import { type ViciSection, viciSection } from './message.ts';

export function statusAnswer(stats: StatsView): ViciSection {
  const drops = Object.entries(stats.drops).filter(([, count]) => count > 0);
  return viciSection([
    ['version', stats.version],
    ['sysname', stats.sysname],
    ['release', stats.release],
    ['machine', stats.machine],
    ['uptime', stats.uptimeSeconds],
    ['since', stats.since],
    ['ike-sas', stats.ikeSas],
    ['half-open', stats.halfOpen],
    ['drops', viciSection(drops)],
  ]);
}

export function* listSad(views: readonly SadView[]): Iterable<ViciSection> {
  for (const view of views) {
    yield viciSection([
      ['direction', view.direction],
      ['spi', view.spi],
      ['ike', view.ike],
      ['child', view.child],
      ['local', view.local],
      ['remote', view.remote],
      ['encapsulation', view.encapsulation],
      ['encr', view.encr],
      ['integ', view.integ],
      ['esn', view.esn],
      ['sequence', view.sequence],
      ['replay-window', view.replayWindow],
      ['packets', view.packets],
      ['octets', view.octets],
      ['drops', view.drops],
      ['replays', view.replays],
      ['bad-icvs', view.badIcvs],
      ['mtu', view.mtu],
    ]);
  }
}

export function* listSpd(views: readonly SpdView[]): Iterable<ViciSection> {
  for (const view of views) {
    yield viciSection([
      ['direction', view.direction],
      ['action', view.action],
      ['local', view.local],
      ['remote', view.remote],
      ['ike', view.ike],
      ['child', view.child],
      ['spi', view.spi],
    ]);
  }
}
