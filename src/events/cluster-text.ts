/**
 * Events of a cluster as sentences, for `log-text.ts`, and how grave each is.
 */
import type { ClusterEvent, NodeSubject, SegmentsMoved } from './cluster-event.ts';

/** Level 0 is always worth reading. */
export interface ClusterText {
  readonly level: 0 | 1;
  readonly text: string;
}

export function clusterText(event: ClusterEvent): ClusterText {
  switch (event.kind) {
    case 'cluster-node-up':
      return always(`node ${nodeOf(event)} is here`);
    case 'cluster-node-down':
      return always(
        event.reason === 'bye'
          ? `node ${nodeOf(event)} said goodbye`
          : `node ${nodeOf(event)} is silent`,
      );
    case 'cluster-configuration-differs':
      return always(
        `node ${nodeOf(event)} has another configuration: ${event.fields.join(', ')}` +
          `${event.refused ? '; it is not let in' : ''}`,
      );
    case 'cluster-version-refused':
      return always(`node ${nodeOf(event)} speaks version ${event.version}, which we do not`);
    case 'cluster-segments-taken':
      return always(
        `took ${moved(event)} (${event.reason})` +
          `${event.gaps === 0 ? '' : `, the last state of ${event.gaps} unknown`}`,
      );
    case 'cluster-segments-released':
      return always(`gave up ${moved(event)} (${event.reason})`);
    case 'cluster-take-over':
      return always(
        `took over ${counted(event.count)} of node ${nodeOf(event)}, ` +
          `${event.milliseconds} ms after it was last heard`,
      );
    case 'cluster-demoted':
      return always(
        `${event.reason} ${event.amount === 0 ? 'is over' : `counts ${event.amount}`}: ` +
          `demotion is ${event.demotion}`,
      );
    case 'cluster-alone':
      return always(event.alone ? 'going on alone' : 'not alone any more');
    case 'cluster-resync':
      return always(`fetching the state of the others anew (${event.reason})`);
    case 'cluster-synced':
      return always(`the state of the others is here, after ${event.milliseconds} ms`);
    case 'cluster-drained':
      return always(`drained: no segment is left after ${event.milliseconds} ms`);
    case 'cluster-hand-over-abandoned':
      return always(
        `${counted(event.count)} stay here, ${event.segments}: the other node does not answer`,
      );
    case 'cluster-split-brain-healed':
      return always(
        `node ${nodeOf(event)} and this one both went on alone for ${event.seconds} s; that is over`,
      );
    case 'cluster-unsynced':
      return { level: 1, text: unsyncedText(event) };
    case 'cluster-trouble':
      return always(`${event.part}: ${event.what}`);
    case 'cluster-mended':
      return always(`${event.part} is well again: ${event.what}`);
    case 'cluster-order':
      return { level: 1, text: orderText(event) };
  }
}

/** An operator must act on what is an error; the rest says that something moved. */
export function clusterLevel(event: ClusterEvent): 'error' | 'notice' | 'debug' {
  switch (event.kind) {
    case 'cluster-node-down':
      return event.reason === 'bye' ? 'notice' : 'error';
    case 'cluster-alone':
      return event.alone ? 'error' : 'notice';
    case 'cluster-segments-released':
      return event.reason === 'lapsed' ? 'error' : 'notice';
    case 'cluster-demoted': {
      const isMeant = MEANT.has(event.reason) || event.amount === 0;
      return isMeant ? 'notice' : 'error';
    }
    case 'cluster-configuration-differs':
    case 'cluster-version-refused':
    case 'cluster-split-brain-healed':
    case 'cluster-trouble':
      return 'error';
    case 'cluster-unsynced':
      return 'debug';
    default:
      return 'notice';
  }
}

/** Reasons of a demotion that somebody wanted, or that pass. */
const MEANT: ReadonlySet<string> = new Set(['drain', 'operator', 'boot']);

function always(text: string): ClusterText {
  return { level: 0, text };
}

function nodeOf({ node, nodeId }: NodeSubject): string {
  return `${node}[${nodeId}]`;
}

function counted(count: number): string {
  return count === 1 ? '1 segment' : `${count} segments`;
}

function moved({ segments, count, owned }: SegmentsMoved): string {
  return `${counted(count)}, ${segments}, and has ${owned} now`;
}

function unsyncedText({ ikeSas, childSas }: Extract<ClusterEvent, { kind: 'cluster-unsynced' }>) {
  if (ikeSas === 0 && childSas === 0) return 'other nodes have the newest state of every SA';
  return `no other node has the newest state of ${ikeSas} IKE SAs, the numbers of ${childSas} Child SAs`;
}

function orderText({
  order,
  by,
  segments,
  node,
}: Extract<ClusterEvent, { kind: 'cluster-order' }>) {
  const what = [order, segments, node && `node ${node}`].filter((part) => part !== undefined);
  return `ordered over ${by}: ${what.join(' ')}`;
}
