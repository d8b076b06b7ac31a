import assert from 'node:assert/strict';
import { parseHardwareAddress } from '../../src/cluster/virtual-address/ethernet.ts';
import { LISTEN_MILLISECONDS } from '../../src/cluster/virtual-address/flooding-test.ts';
import { SharedLink } from '../../src/cluster/virtual-address/shared-link.ts';
import { LinkPort, type LinkWord } from '../../src/gateway/link-port.ts';
import { now } from '../../src/io/clock.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { after, instant } from '../../src/wire/instant.ts';
import { seededRandom } from '../support/seeded-random.ts';

const V4 = parseAddress('192.0.2.100');
const OWN = parseAddress('192.0.2.1');
const REAL = parseHardwareAddress('02:00:00:00:00:01');
const GROUP = parseHardwareAddress('01:00:5e:00:00:20');

/** A socket that remembers. */
class Remembering {
  readonly sent: number[] = [];
  readonly listened: boolean[] = [];
  heard: ((octets: Uint8Array) => void) | undefined;

  onFrame(heard: (octets: Uint8Array) => void): void {
    this.heard = heard;
  }
  send(frames: readonly Uint8Array[]): number {
    this.sent.push(frames.length);
    return frames.length;
  }
  listen(_: Uint8Array, on: boolean): void {
    this.listened.push(on);
  }
}

function open() {
  assert.ok(V4 && OWN && REAL && GROUP);
  const shared = [{ address: V4, hardwareAddress: GROUP }];
  const settings = {
    mode: 'active-active',
    node: 1,
    hardwareAddress: REAL,
    own: { ipv4: OWN },
    shared,
  } as const;
  const socket = new Remembering();
  const told: LinkWord[] = [];
  const port = new LinkPort({
    link: new SharedLink(settings, seededRandom(1)),
    socket,
    now,
    told: (word) => told.push(word),
  });
  return { port, socket, told, addresses: [V4] };
}

async function until(ready: () => boolean): Promise<void> {
  const start = now();
  while (!ready()) {
    assert.ok(now() < after(start, 5_000), 'waited 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('The port of a link with shared addresses', () => {
  it('listens, sends, tells what is not its own, and does in time what is due', async () => {
    const { port, socket, told, addresses } = open();
    assert.deepEqual(socket.listened, [true]);
    port.handle({ kind: 'serve', addresses, until: instant(Number.POSITIVE_INFINITY) });
    assert.deepEqual(socket.sent, [2]);
    const asked = now();
    port.handle({ kind: 'probe-asked', node: 2, nonce: new Uint8Array(16) });
    assert.equal(told.length, 0);
    await until(() => told.length > 0);
    assert.ok(now() >= after(asked, LISTEN_MILLISECONDS), 'not before its time');
    assert.deepEqual(
      told.map((word) => word.kind === 'report-probe' && word.heard),
      [false],
    );
    assert.deepEqual(socket.sent, [2, 2], 'and says that a multicast router is here');
    port.close();
  });

  it('does nothing more once it is closed', () => {
    const { port, socket, addresses } = open();
    port.handle({ kind: 'serve', addresses, until: instant(Number.POSITIVE_INFINITY) });
    port.close();
    socket.heard?.(new Uint8Array(60));
    port.handle({ kind: 'announce' });
    assert.deepEqual(socket.sent, [2]);
  });
});
