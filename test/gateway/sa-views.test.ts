import assert from 'node:assert/strict';
import { createSharedCounters, SA_COUNTERS, SaCounter } from '../../src/events/shared-counters.ts';
import { CounterRows } from '../../src/gateway/counter-rows.ts';
import { childSaView, ikeSaView, sadViews, type ViewContext } from '../../src/gateway/sa-views.ts';
import type { ChildSa } from '../../src/ipsec/child-sa.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';
import { childSa, established, heldChild, onlyIkeSa } from '../support/child-sas.ts';
import { AES_CBC_256, child, connection, SHA2_256, X25519 } from '../support/connections.ts';
import { A, B, endpoint, type Pair } from '../support/pair.ts';
import { initiate, sites } from '../support/sites.ts';

const CHILD = 7;

/** A view at `now` of Child SAs installed at one second. */
function contextAt(now: Instant): ViewContext & { readonly count: Count } {
  const counters = createSharedCounters(2);
  const rows = new CounterRows(counters);
  const taken = rows.take(CHILD);
  assert.ok(taken);
  return {
    now,
    rows,
    installedAt: () => instant(1000),
    innerMtu: () => 1422,
    count: (direction, column, value) => {
      const row = direction === 'in' ? taken.rowIn : taken.rowOut;
      counters.sas[row * SA_COUNTERS + SaCounter[column]] = value;
    },
  };
}

type Count = (direction: 'in' | 'out', column: keyof typeof SaCounter, value: number) => void;

describe('A Child SA as list-sas shows it', () => {
  /** Installed at one second. */
  const held = (changes: Partial<ChildSa> = {}, policy = child()) =>
    heldChild(changes, policy, 1000);

  it('has its SPIs, algorithms, selectors and traffic', () => {
    const context = contextAt(instant(61_900));
    context.count('in', 'PACKETS', 3);
    context.count('in', 'OCTETS', 252);
    context.count('in', 'LAST_USE', 60_000);
    context.count('out', 'PACKETS', 4);
    context.count('out', 'OCTETS', 336);
    context.count('out', 'LAST_USE', 50_000);
    assert.deepEqual(childSaView(held(), context), {
      name: 'net',
      uniqueId: 7,
      reqid: 1,
      state: 'INSTALLED',
      mode: 'TUNNEL',
      udpEncapsulation: true,
      spiIn: 'b6583d96',
      spiOut: '55c36b9d',
      encrAlg: 'AES_GCM_16',
      encrKeySize: 256,
      esn: false,
      octetsIn: 252,
      packetsIn: 3,
      useInSeconds: 1,
      octetsOut: 336,
      packetsOut: 4,
      useOutSeconds: 11,
      droppedIn: {},
      droppedOut: {},
      rekeySeconds: 3539,
      lifeSeconds: 3899,
      installedSeconds: 60,
      localTs: ['10.1.0.0/16'],
      remoteTs: ['10.2.0.0/16'],
    });
  });

  it("has its mode in strongSwan's words", () => {
    const modeOf = (mode: ChildSa['mode']) =>
      childSaView(held({ mode }), contextAt(instant(2000))).mode;
    assert.deepEqual((['tunnel', 'transport', 'beet'] as const).map(modeOf), [
      'TUNNEL',
      'TRANSPORT',
      'BEET',
    ]);
  });

  it('says nothing about use before the first packet', () => {
    const view = childSaView(held(), contextAt(instant(2000)));
    assert.equal(view.useInSeconds, undefined);
    assert.equal(view.useOutSeconds, undefined);
  });

  it('was never used in the future: the packet loop counts while we look', () => {
    const context = contextAt(instant(2000));
    context.count('in', 'LAST_USE', 2500);
    assert.equal(childSaView(held(), context).useInSeconds, 0);
  });

  it('names the integrity algorithm of a cipher that needs one, and its own key exchange', () => {
    const cbc = held({ encr: AES_CBC_256, integ: SHA2_256, ke: X25519 });
    const view = childSaView(cbc, contextAt(instant(2000)));
    assert.equal(view.encrAlg, 'AES_CBC');
    assert.equal(view.integAlg, 'HMAC_SHA2_256_128');
    assert.equal(view.dhGroup, 'CURVE_25519');
  });

  it('has a life that ends at zero, and none where its policy sets none', () => {
    const view = childSaView(held(), contextAt(instant(9_000_000)));
    assert.deepEqual([view.rekeySeconds, view.lifeSeconds], [0, 0]);
    const never = { rekey: 0, life: 0, random: 0 };
    const lifetime = { seconds: never, octets: never, packets: never };
    const endless = childSaView(held({}, child({ lifetime })), contextAt(instant(2000)));
    assert.deepEqual([endless.rekeySeconds, endless.lifeSeconds], [undefined, undefined]);
  });

  it('is new where the gateway does not know since when it is there', () => {
    const context = { ...contextAt(instant(90_000)), installedAt: () => undefined };
    assert.equal(childSaView(held(), context).installedSeconds, 0);
  });
});

describe('A Child SA in the SAD', () => {
  it('is an inbound row with a replay window and an outbound one without', () => {
    const context = contextAt(instant(2000));
    context.count('in', 'SEQUENCE', 40);
    context.count('in', 'REPLAYS', 2);
    context.count('in', 'BAD_ICVS', 1);
    context.count('in', 'DROPS', 3);
    context.count('out', 'SEQUENCE', 50);
    const common = {
      local: A,
      remote: B,
      child: 'net',
      ike: 'peer',
      encapsulation: 'udp',
      encr: 'AES_GCM_16_256',
      esn: false,
      mtu: 1422,
      packets: 0,
      octets: 0,
    };
    assert.deepEqual(sadViews(childSa(), context), [
      {
        direction: 'in',
        spi: 'b6583d96',
        ...common,
        replayWindow: 1024,
        sequence: 40,
        drops: 3,
        replays: 2,
        badIcvs: 1,
      },
      {
        direction: 'out',
        spi: '55c36b9d',
        ...common,
        replayWindow: 0,
        sequence: 50,
        drops: 0,
        replays: 0,
        badIcvs: 0,
      },
    ]);
  });

  it('names integrity where there is some, and a missing encapsulation', () => {
    const cbc = childSa({ encr: AES_CBC_256, integ: SHA2_256, udpEncapsulation: false });
    const [inbound] = sadViews(cbc, contextAt(instant(2000)));
    assert.equal(inbound?.encr, 'AES_CBC_256');
    assert.equal(inbound?.integ, 'HMAC_SHA2_256_128');
    assert.equal(inbound?.encapsulation, 'none');
  });

  it('calls an algorithm without a name by its number', () => {
    const [inbound] = sadViews(childSa({ encr: { type: 1, id: 999 } }), contextAt(instant(2000)));
    assert.equal(inbound?.encr, '999');
  });
});

describe('An IKE SA as list-sas shows it', () => {
  function viewOf(pair: Pair, side = pair.a) {
    return ikeSaView(onlyIkeSa(side), contextAt(pair.now));
  }

  it('is connecting before the peer answers: no suite, no responder SPI, no identities', () => {
    const pair = sites();
    initiate(pair);
    const { initiatorSpi, ...view } = viewOf(pair);
    assert.match(initiatorSpi, /^[0-9a-f]{16}$/);
    assert.deepEqual(view, {
      connection: 'peer',
      uniqueId: 1,
      state: 'CONNECTING',
      localHost: A,
      localPort: 500,
      localId: '%any',
      remoteHost: B,
      remotePort: 500,
      remoteId: '%any',
      initiator: true,
      responderSpi: '0000000000000000',
      natLocal: false,
      natRemote: false,
      natFake: false,
      localVips: [],
      remoteVips: [],
      tasksQueued: [],
      tasksActive: ['IKE_INIT'],
      tasksPassive: [],
      children: [],
    });
  });

  it('has no name while its peer has none', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000, () => pair.b.engine.halfOpen === 1);
    const view = viewOf(pair, pair.b);
    assert.equal(view.connection, '(unnamed)');
    assert.equal(view.state, 'CONNECTING');
    assert.equal(view.encrAlg, 'AES_CBC');
  });

  it('is established with its suite, identities and children', () => {
    const pair = established();
    pair.run(pair.now + 5500);
    const { children, initiatorSpi, responderSpi, ...view } = viewOf(pair, pair.b);
    assert.deepEqual(view, {
      connection: 'peer',
      uniqueId: 1,
      state: 'ESTABLISHED',
      localHost: B,
      localPort: 500,
      localId: 'b.lab',
      remoteHost: A,
      remotePort: 500,
      remoteId: 'a.lab',
      initiator: false,
      natLocal: false,
      natRemote: false,
      natFake: false,
      encrAlg: 'AES_CBC',
      encrKeySize: 256,
      integAlg: 'HMAC_SHA2_256_128',
      prfAlg: 'PRF_HMAC_SHA2_256',
      dhGroup: 'CURVE_25519',
      establishedSeconds: 5,
      rekeySeconds: 14_394,
      localVips: [],
      remoteVips: [],
      tasksQueued: [],
      tasksActive: [],
      tasksPassive: [],
    });
    assert.deepEqual(
      children.map(({ name }) => name),
      ['net'],
    );
    const other = viewOf(pair);
    assert.deepEqual([initiatorSpi, responderSpi], [other.initiatorSpi, other.responderSpi]);
  });

  it('says that NATs are between, or that we pretend one', () => {
    const pair = established(connection({ encap: true }));
    const [a, b] = [viewOf(pair, pair.a), viewOf(pair, pair.b)];
    assert.deepEqual([a.natFake, a.natLocal, a.natRemote], [true, false, true]);
    assert.deepEqual([b.natFake, b.natLocal, b.natRemote], [true, false, true]);
    assert.equal(a.localPort, 4500);
  });

  it('says what it waits for and what waits behind', () => {
    const pair = established();
    pair.translate = () => undefined;
    for (const [request, selector] of [[2, { child: 'net' }] as const, [3, {}] as const]) {
      pair.handle(pair.a, { kind: 'terminate', request, selector, force: false });
    }
    assert.deepEqual(viewOf(pair).tasksActive, ['CHILD_DELETE']);
    assert.deepEqual(viewOf(pair).tasksQueued, ['IKE_DELETE']);
    pair.handle(pair.b, { kind: 'terminate', request: 1, selector: {}, force: false });
    assert.equal(viewOf(pair, pair.b).state, 'DELETING');
    assert.deepEqual(viewOf(pair, pair.b).tasksActive, ['IKE_DELETE']);
  });

  it('says what is being replaced', () => {
    const pair = established();
    pair.translate = () => undefined;
    const rekey = { kind: 'rekey', reauthenticate: false } as const;
    pair.handle(pair.a, { ...rekey, request: 2, selector: { child: 'net' } });
    assert.deepEqual(viewOf(pair).tasksActive, ['CHILD_REKEY']);
    assert.deepEqual(
      viewOf(pair).children.map(({ state }) => state),
      ['REKEYING'],
    );
    pair.handle(pair.a, { ...rekey, request: 3, selector: { ike: 'peer' } });
    assert.deepEqual(viewOf(pair).tasksQueued, ['IKE_REKEY']);
  });

  it('keeps the ports of its ends', () => {
    const pair = sites();
    pair.handle(pair.a, {
      kind: 'initiate',
      request: 1,
      connection: 'peer',
      child: 'net',
      local: endpoint(A, 1500),
      remote: endpoint(B, 2500),
    });
    const view = viewOf(pair);
    assert.deepEqual([view.localPort, view.remotePort], [1500, 2500]);
  });
});
