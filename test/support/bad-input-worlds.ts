/** A pair whose side b is in a given state, and the hostile peer at the other end. */
import assert from 'node:assert/strict';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import type { StateName } from './bad-input.ts';
import { AES_GCM_256, connection, ikeProposal, PRF_SHA2_256, X25519 } from './connections.ts';
import { HostilePeer } from './hostile-peer.ts';
import type { Flight, Pair, Side } from './pair.ts';
import { rekey } from './rekeying.ts';
import { initiate, sites, terminate } from './sites.ts';

const ONE = connection({ proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519)] });

const { IKE_SA_INIT, IKE_AUTH, INFORMATIONAL } = ExchangeType;

export function world(state: StateName): HostilePeer {
  const [what = '', role] = state.split(', ');
  return BUILDERS[what]?.(role === 'initiator' ? 'b' : 'a') ?? assert.fail(state);
}

type Builder = (initiator: 'a' | 'b') => HostilePeer;

const BUILDERS: Readonly<Record<string, Builder>> = {
  'half-open': () => {
    const hostile = begun('a', IKE_AUTH, false);
    // Its own IKE_AUTH never arrives.
    hostile.nextId = 1;
    return hostile;
  },
  // Side a has keys that b does not have yet: it has not heard the answer.
  'awaiting IKE_SA_INIT': () => begun('b', IKE_SA_INIT, true),
  'awaiting IKE_AUTH': () => begun('b', IKE_AUTH, false),
  established: (initiator) => established(initiator),
  'rekeying a Child SA': (initiator) => {
    const hostile = established(initiator);
    rekey(hostile.pair, hostile.victim, 'child', 9);
    return hostile;
  },
  'rekeying the IKE SA': (initiator) => {
    const hostile = established(initiator);
    rekey(hostile.pair, hostile.victim, 'ike', 9);
    return hostile;
  },
  'awaiting Delete': (initiator) => {
    const pair = up(initiator);
    const [old] = pair.a.engine.ikeSas();
    pair.translate = (flight) => (isRequest(flight, INFORMATIONAL) ? undefined : flight);
    rekey(pair, pair.a, 'ike', 9);
    pair.run(pair.now + 10);
    const hostile = new HostilePeer(pair, old);
    // Its own Delete never arrives.
    hostile.nextId--;
    return hostile;
  },
  'awaiting the answer to Delete': (initiator) => {
    const hostile = established(initiator);
    terminate(hostile.pair, hostile.victim, 9);
    return hostile;
  },
  closed: (initiator) => {
    const hostile = established(initiator);
    terminate(hostile.pair, hostile.victim, 9, true);
    return hostile;
  },
  'no IKE SA': () => {
    const hostile = established('a');
    terminate(hostile.pair, hostile.victim, 9, true);
    hostile.pair.run(hostile.pair.now + 40_000);
    return hostile;
  },
};

/** Up, and past the request in which a peer may still reject our IKE_AUTH (RFC 7296 §2.21.2). */
function established(initiator: 'a' | 'b'): HostilePeer {
  const hostile = new HostilePeer(up(initiator));
  hostile.request(INFORMATIONAL, []);
  return hostile;
}

function up(initiator: 'a' | 'b'): Pair {
  const pair = sites(ONE);
  initiate(pair, sideOf(pair, initiator));
  pair.run(pair.now + 100);
  assert.equal(pair.b.established, 1);
  return pair;
}

/** On its way up as far as the message of this exchange that does not arrive. */
function begun(initiator: 'a' | 'b', stopAt: number, isResponse: boolean): HostilePeer {
  const pair = sites(ONE);
  pair.translate = (flight) => {
    const header = decodeHeader(flight.octets);
    const stops = header.exchangeType === stopAt && header.isResponse === isResponse;
    return stops ? undefined : flight;
  };
  initiate(pair, sideOf(pair, initiator));
  pair.run(pair.now + 100);
  return new HostilePeer(pair, only(pair.a));
}

function isRequest({ octets }: Flight, exchangeType: number): boolean {
  const header = decodeHeader(octets);
  return header.exchangeType === exchangeType && !header.isResponse;
}

function sideOf(pair: Pair, name: 'a' | 'b'): Side {
  return name === 'a' ? pair.a : pair.b;
}

function only({ engine }: Side): IkeSa {
  const [sa, ...others] = engine.ikeSas();
  assert.ok(sa && others.length === 0);
  return sa;
}
