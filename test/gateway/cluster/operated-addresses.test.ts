import assert from 'node:assert/strict';
import type { SharedAddressStatus } from '../../../src/gateway/cluster/address-status.ts';
import { FloodingPort } from '../../../src/gateway/cluster/flooding-port.ts';
import type { FloodingResult } from '../../../src/gateway/cluster/flooding-watch.ts';
import { OperatedAddresses } from '../../../src/gateway/cluster/operated-addresses.ts';
import { encodeProbeMessage } from '../../../src/gateway/cluster/probe-message.ts';
import { instant } from '../../../src/wire/instant.ts';

const LISTED: SharedAddressStatus = {
  name: 'wan',
  address: '192.0.2.100',
  device: 'eth0',
  side: 'wan',
  hardwareAddress: '01:00:5e:00:00:a0',
  served: true,
};

class Fake {
  readonly flooding: Map<string, FloodingResult>;
  readonly members: ReadonlySet<number>;
  readonly troubles = [{ part: 'filter', what: 'no' } as const];
  asked = 0;

  constructor(members: readonly number[], devices: readonly string[]) {
    this.members = new Set(members);
    const untested = { tested: false, deaf: [], hearsNobody: false };
    this.flooding = new Map(devices.map((device) => [device, untested]));
  }

  list() {
    return [LISTED];
  }

  async counters() {
    this.asked++;
    return new Map([['esp_own', { packets: 7, octets: 700 }]]);
  }

  async test() {
    const deaf = [...this.members].filter((node) => node === 3);
    for (const device of this.flooding.keys()) {
      this.flooding.set(device, { tested: true, deaf, hearsNobody: false });
    }
  }
}

function open(members: readonly number[], devices: readonly string[]) {
  const addresses = new Fake(members, devices);
  const clock = { now: instant(0) };
  const nameOf = (node: number) => `n${node}`;
  return {
    addresses,
    clock,
    part: new OperatedAddresses({ addresses, nameOf, now: () => clock.now }),
  };
}

describe('The shared addresses of a node for its operator', () => {
  it('are listed with what is wrong', () => {
    const { part } = open([2], []);
    const { served, hardwareAddress, ...same } = LISTED;
    assert.deepEqual(part.addresses(), [{ ...same, here: served, mac: hardwareAddress }]);
    assert.deepEqual(part.troubles(), [{ part: 'filter', what: 'no' }]);
  });

  it('name members that do not hear, and what would mend it', async () => {
    const { part } = open([2, 3], ['eth0']);
    await part.probe?.();
    const [, trouble] = part.troubles();
    assert.equal(trouble?.part, 'flooding');
    assert.match(trouble.what, /^device eth0: frames to 01:00:5e:00:00:a0 do not reach node n3: /);
  });

  it('are counted as the kernel counted when somebody asked last, once in a second', async () => {
    const { addresses, clock, part } = open([2], []);
    assert.deepEqual(part.figures(), {});
    await Promise.resolve();
    assert.deepEqual(part.figures(), { 'filter-esp-own': 7 });
    assert.equal(addresses.asked, 1);
    clock.now = instant(1_000);
    part.figures();
    assert.equal(addresses.asked, 2);
  });

  it('are tested where frames go to all nodes', async () => {
    assert.equal(open([2], []).part.probe, undefined);
    assert.deepEqual(await open([], ['eth0']).part.probe?.(), {
      kind: 'failed',
      what: 'no other node is up that could hear',
    });
    assert.deepEqual(await open([2, 4], ['eth0']).part.probe?.(), {
      kind: 'done',
      what: 'frames to all nodes reach n2, n4',
      milliseconds: 0,
      nodes: { n2: 'hears this node', n4: 'hears this node' },
    });
    const failed = await open([2, 3], ['eth0']).part.probe?.();
    assert.ok(failed?.kind === 'failed');
    assert.match(failed.what, /do not reach n3:/);
  });
});

describe('Tests whether frames reach all members', () => {
  function port() {
    const said: string[] = [];
    const inputs: string[] = [];
    const one = new FloodingPort({
      names: new Map([[2, 'b']]),
      devices: [{ device: 'wan', hardwareAddresses: ['01:00:5e:00:00:a0'] }],
      now: () => instant(0),
      tell: (to, { type }) => said.push(`tell ${to} ${type}`),
      say: (level, what) => said.push(`${level} ${what}`),
      toLink: (device, { kind }) => inputs.push(`${device} ${kind}`),
      changed: () => undefined,
    });
    return { one, said, inputs };
  }

  it('end for who waits when each device has its result, or nobody is there', async () => {
    const { one, inputs, said } = port();
    await one.test();
    one.members(new Set([2]));
    const ended = one.test();
    assert.deepEqual(inputs, ['wan test-flooding', 'wan test-flooding']);
    one.linkSays('wan', { kind: 'flooding-tested', deaf: [], rounds: 1 });
    await ended;
    assert.deepEqual(said, ['tell 2 23']);
    one.close();
  });

  it('end for who waits when all ends', async () => {
    const { one } = port();
    one.members(new Set([2]));
    const ended = one.test();
    one.close();
    await ended;
  });

  it('take no malformed message for more than that', () => {
    const { one, said, inputs } = port();
    one.members(new Set([2]));
    const message = encodeProbeMessage({
      kind: 'listen',
      device: 'wan',
      nonce: new Uint8Array(16),
    });
    assert.equal(one.told(2, { ...message, body: message.body.subarray(1) }), true);
    assert.match(said.join(), /^debug PROBE of node 2: /);
    assert.equal(one.told(2, message), true);
    assert.equal(inputs.at(-1), 'wan probe-asked');
    assert.equal(one.told(2, { ...message, type: 1 }), false);
  });
});
