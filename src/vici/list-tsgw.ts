/**
 * tsgw's own listings, in the same protocol: `tsgw-status`, `tsgw-sad`, `tsgw-spd`, `tsgw-why`.
 *
 * Each row of the SAD, the SPD and the failures is an event of its own, so that no answer grows
 * with their number.
 */
import type { FailureView, SadView, SpdView, StatsView, WorkerView } from './control.ts';
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
    ['workers', viciSection(stats.workers.map((one, worker) => [`${worker}`, workerSection(one)]))],
    ['back-ends', viciSection(Object.entries(stats.backEnds))],
    ['ciphers', viciSection(Object.entries(stats.ciphers))],
    ['offload', stats.offload],
  ]);
}

function workerSection(worker: WorkerView): ViciSection {
  return viciSection([
    ['child-sas', worker.childSas],
    ['packets-in', worker.packetsIn],
    ['packets-out', worker.packetsOut],
    ['handed-over', worker.handedOver],
    ['taken-over', worker.takenOver],
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

/** The last failures with a peer, newest first. */
export function* listFailures(views: readonly FailureView[]): Iterable<ViciSection> {
  for (const view of views) {
    yield viciSection([
      ['seconds-ago', view.secondsAgo],
      ['count', view.count],
      ['alert', view.alert],
      ['peer', view.peer],
      ['identity', view.identity],
      ['connection', view.connection],
      ['child', view.child],
      ['what', view.what],
      ['why', view.why],
      ['here', view.here],
      ['there', view.there],
      ['transforms', view.transforms.length === 0 ? undefined : transformSections(view.transforms)],
    ]);
  }
}

/** Offered against accepted, by transform type. */
export function transformSections(transforms: FailureView['transforms']): ViciSection {
  return viciSection(
    transforms.map(({ type, offered, accepted }) => [
      type,
      viciSection([
        ['offered', offered],
        ['accepted', accepted],
      ]),
    ]),
  );
}
