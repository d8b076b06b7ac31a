/**
 * The commands `tsgw-cluster-status`, `tsgw-cluster-segments` and `tsgw-cluster-order`: what a cluster is
 * like, who has which segment, and what an operator wants of it.
 */
import { failure, success } from './answers.ts';
import {
  type ClusterControl,
  type ClusterOrder,
  type ClusterOutcome,
  type ClusterView,
  FAILURES,
  type MemberView,
} from './cluster-view.ts';
import type { Control } from './control.ts';
import { type ViciSection, viciSection, viciText, viciTexts } from './message.ts';
import { failed, numberOf, operation, type Prepared, refused, timeoutOf } from './operation.ts';
import { parseSegments } from './segment-list.ts';

/** Rows of `tsgw-cluster-segments`. */
export const SEGMENT_EVENT = 'tsgw-cluster-segment';

const NO_CLUSTER = 'this daemon is no node of a cluster: its configuration has no cluster { }';

export function clusterStatus(control: Control): ViciSection {
  const cluster = control.cluster();
  return cluster === undefined ? failure(NO_CLUSTER) : statusSection(cluster.status());
}

/** Nothing where there is no cluster: `tsgw-cluster-status` says so. */
export function* clusterSegments(control: Control): Iterable<ViciSection> {
  for (const row of control.cluster()?.segments() ?? []) {
    yield viciSection([
      ['segment', row.segment],
      ['owner', row.owner],
      ['here', row.here],
      ['epoch', row.epoch],
      ['ike-sas', row.ikeSas],
      ['child-sas', row.childSas],
    ]);
  }
}

export function prepareClusterOrder(control: Control, request: ViciSection): Prepared {
  const cluster = control.cluster();
  if (cluster === undefined) return refused(NO_CLUSTER);
  const order = orderOf(cluster, request);
  if (typeof order === 'string') return refused(order);
  const timeoutMilliseconds = timeoutOf(request);
  let outcome: ClusterOutcome | undefined;
  return operation({
    concerns: () => false,
    logLevel: -1,
    timeoutMilliseconds,
    start: async () => {
      outcome = await cluster.order(order);
      if (outcome.kind === 'failed') return outcome;
      return { kind: 'done', matches: 1, terminated: 0 };
    },
    answer: (end) => {
      if (end.kind === 'done' && outcome?.kind === 'done') return outcomeSection(outcome);
      if (end.kind === 'started') return success();
      if (end.kind === 'not-in-time') {
        return failed(lateText(order, cluster.status(), timeoutMilliseconds), 'timeout');
      }
      return failed(end.kind === 'done' ? `${order.kind}: no outcome` : end.what, 'failed');
    },
  });
}

/** What the request asks for, or what is wrong with it and what would be right. */
function orderOf(cluster: ClusterControl, request: ViciSection): ClusterOrder | string {
  const kind = viciText(request, 'order') ?? '';
  switch (kind) {
    case 'drain':
    case 'undrain':
    case 'unpin':
    case 'resync':
    case 'rotate-key':
    case 'probe':
      return { kind };
    case 'take':
    case 'rekey': {
      const segments = segmentsOf(cluster, request);
      return typeof segments === 'string' ? segments : { kind, segments };
    }
    case 'give': {
      const segments = segmentsOf(cluster, request);
      if (typeof segments === 'string') return segments;
      const node = otherNodeOf(cluster, request);
      return typeof node === 'string' ? node : { kind, segments, node: node.name };
    }
    case 'declare-dead': {
      const node = otherNodeOf(cluster, request);
      return typeof node === 'string' ? node : { kind, node: node.name };
    }
    case 'demote': {
      const amount = numberOf(request, 'amount');
      if (amount !== undefined && amount >= 0 && amount <= MOST_DEMOTION) return { kind, amount };
      return `amount: write 0 to ${MOST_DEMOTION}`;
    }
    case 'simulate-failure':
      return failureOf(request);
    default:
      return `order ${kind || 'missing'}: it is one of ${ORDERS.join(', ')}`;
  }
}

const ORDERS: readonly ClusterOrder['kind'][] = [
  'take',
  'give',
  'rekey',
  'unpin',
  'drain',
  'undrain',
  'demote',
  'resync',
  'rotate-key',
  'probe',
  'declare-dead',
  'simulate-failure',
];
/** What an operator adds at most; a node that drains has as much. */
const MOST_DEMOTION = 240;
/** A node may fall silent for no longer than this. */
const LONGEST_SILENCE = 600_000;

function segmentsOf(cluster: ClusterControl, request: ViciSection): readonly number[] | string {
  const words = viciTexts(request, 'segments');
  if (words.length === 0) return 'segments: write which, as 3, 0-63 or all';
  return parseSegments(words, cluster.status().segments);
}

function otherNodeOf(cluster: ClusterControl, request: ViciSection): MemberView | string {
  const { members } = cluster.status();
  const name = viciText(request, 'node') ?? '';
  const found = members.find((one) => one.name === name);
  const others = members.filter(({ state }) => state !== 'self').map((one) => one.name);
  if (found === undefined) return `there is no node ${name}: the others are ${others.join(', ')}`;
  return found.state === 'self'
    ? `${name} is this node: the others are ${others.join(', ')}`
    : found;
}

function failureOf(request: ViciSection): ClusterOrder | string {
  const kind = 'simulate-failure';
  const text = viciText(request, 'failure');
  const found = FAILURES.find((one) => one === text);
  if (found === undefined)
    return `failure ${text ?? 'missing'}: it is one of ${FAILURES.join(', ')}`;
  if (viciText(request, 'confirmed') !== 'yes') {
    return `${found} interrupts this node, and its clients if the cluster does not work: confirm it`;
  }
  const milliseconds = numberOf(request, 'milliseconds') ?? 0;
  if (milliseconds >= 0 && milliseconds <= LONGEST_SILENCE)
    return { kind, failure: found, milliseconds };
  return `milliseconds ${milliseconds}: write up to ${LONGEST_SILENCE}`;
}

/** What was started goes on; why it takes so long is mostly to be seen. */
function lateText(order: ClusterOrder, view: ClusterView, milliseconds: number): string {
  const after = `after ${(milliseconds / 1000).toFixed(1)} s`;
  const missing = view.members
    .filter(({ state }) => state !== 'self' && state !== 'up')
    .map(({ name, state }) => `${name} is ${state}`);
  const who = missing.length === 0 ? '' : `; ${missing.join(', ')}`;
  if (order.kind === 'drain') {
    return `${view.owned} segments are still here ${after}${who}: the node goes on draining, undrain ends it`;
  }
  return `${order.kind} is not done ${after}${who}: tsgw cluster status shows how things are`;
}

function outcomeSection(outcome: Extract<ClusterOutcome, { kind: 'done' }>): ViciSection {
  return success([
    ['what', outcome.what],
    ['milliseconds', outcome.milliseconds],
    ['nodes', outcome.nodes && viciSection(Object.entries(outcome.nodes))],
  ]);
}

function statusSection(view: ClusterView): ViciSection {
  return success([
    ['name', view.name],
    ['node', view.node],
    ['node-id', view.nodeId],
    ['mode', view.mode],
    ['bus', view.bus],
    ['sid', view.sid],
    ['segments', view.segments],
    ['owned', view.owned],
    ['alone', view.alone],
    ['synced', view.synced],
    ['lease', view.lease],
    ['lease-age', view.leaseAge],
    ['lease-left', view.leaseLeft],
    ['demotion', view.demotion],
    ['demotions', viciSection(Object.entries(view.demotions))],
    ['members', viciSection(view.members.map((one) => [one.name, memberSection(one)]))],
    ['ike-sas', viciSection(Object.entries(view.ikeSas))],
    [
      'addresses',
      viciSection(
        view.addresses.map(({ address, ...one }) => [
          address,
          viciSection(Object.entries({ ...one })),
        ]),
      ),
    ],
    ['troubles', view.troubles],
    ['metrics', viciSection(Object.entries(view.metrics))],
    ['drops', viciSection(Object.entries(view.drops))],
  ]);
}

function memberSection(member: MemberView): ViciSection {
  return viciSection([
    ['node-id', member.nodeId],
    ['state', member.state],
    ['sid', member.sid],
    ['owned', member.owned],
    ['weight', member.weight],
    ['demotion', member.demotion],
    ['advbase', member.advbase],
    ['advskew', member.advskew],
    ['alone', member.alone],
    ['synced', member.synced],
    ['wan', member.wan],
    ['lan', member.lan],
    ['sync', member.sync],
    ['load', member.load],
    ['heard', member.heard],
    ['applied', member.applied],
    ['differences', member.differences],
  ]);
}
