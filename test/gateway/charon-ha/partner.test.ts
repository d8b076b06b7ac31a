/** The other half of a charon HA pair at its socket and its FIFO; who plays charon sends what one sent. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HaMessageType } from '../../../src/cluster/charon-ha/message.ts';
import type { HaSettings } from '../../../src/config/cluster-config.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { clusterText } from '../../../src/events/cluster-text.ts';
import { CharonHaPartner } from '../../../src/gateway/charon-ha/partner.ts';
import type { Input } from '../../../src/ike/action.ts';
import { ipAddress } from '../../../src/wire/address.ts';
import { readHaRecording } from '../../support/ha-frames.ts';

const OURS = ipAddress(Uint8Array.of(127, 0, 0, 2));
const CHARON = ipAddress(Uint8Array.of(127, 0, 0, 1));
const CONF = `connections { rw { version = 2
  proposals = aes128-sha256-x25519
  local { auth = psk }
  remote { auth = psk }
  children { net { esp_proposals = aes128gcm16-x25519 } } } }`;
const [connection] = loadConfig(CONF, 'swanctl.conf', () => []).connections;
/** Of the node that had the client. */
const told = readHaRecording()
  .frames.filter(({ from }) => from === '10.77.0.1')
  .map(({ octets }) => octets)
  .filter(([, type = 0]) => type <= HaMessageType.CHILD_DELETE);
const upToFirstChild = told.slice(
  0,
  1 + told.findIndex(([, type]) => type === HaMessageType.CHILD_ADD),
);

describe('The other half of a charon HA pair', () => {
  let charon: Socket;
  let partner: CharonHaPartner;
  let directory: string;
  const followed: Input[] = [];
  const said: string[] = [];
  const heard: Uint8Array[] = [];
  let wake = (): void => {};

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-ha-'));
    charon = createSocket('udp4').bind(0, '127.0.0.1');
    await once(charon, 'listening');
    charon.on('message', (octets) => {
      heard.push(octets);
      wake();
    });
  });
  afterEach(() => {
    partner.close();
    charon.close();
    rmSync(directory, { recursive: true });
    for (const list of [followed, said, heard]) list.length = 0;
  });

  async function start(settings: Partial<HaSettings> = {}): Promise<void> {
    const free = createSocket('udp4').bind(0, '127.0.0.2');
    await once(free, 'listening');
    const { port } = free.address();
    free.close();
    await once(free, 'close');
    partner = new CharonHaPartner(
      {
        local: { address: OURS, port },
        remote: { address: CHARON, port: charon.address().port },
        ...{ version: 3, segmentCount: 1, heartbeatDelay: 20, heartbeatTimeout: 60_000 },
        ...{ autobalance: 0, fifoInterface: true, monitor: true, resync: false, pools: [] },
        ...settings,
      },
      {
        follow: (input) => {
          followed.push(input);
          // As the IKE engine does, which changes something and tells of it within.
          partner.changed({ snapshots: [], gone: [] });
          partner.configured();
          wake();
        },
        connection: (name) => (name === connection?.name ? connection : undefined),
        moved: () => {},
        emit: (event) => {
          said.push(clusterText(event).text);
          wake();
        },
      },
    );
    to = port;
    await partner.open(join(directory, 'fifo'));
  }
  let to = 0;

  /** What happens in the process calls it: no clock is asked. */
  async function happens<T>(look: () => T | undefined | false): Promise<T> {
    for (;;) {
      const seen = look();
      if (seen !== undefined && seen !== false) return seen;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  const tell = (frames: readonly Uint8Array[], from = charon) => {
    for (const octets of frames) from.send(octets, to, '127.0.0.2');
  };
  const hears = (type: HaMessageType) => happens(() => heard.find((octets) => octets[1] === type));

  it('has the engine follow charon, and says itself which segments it serves', async () => {
    await start();
    assert.deepEqual([...(await hears(HaMessageType.STATUS))], [3, HaMessageType.STATUS]);
    tell(upToFirstChild);
    const installed = await happens(() =>
      followed.find(
        (input) =>
          input.kind === 'install-snapshots' && input.bundle.snapshots[0]?.children.length === 1,
      ),
    );
    assert.ok(installed.kind === 'install-snapshots');
    assert.equal(partner.serves(CHARON), false);
    writeFileSync(join(directory, 'fifo'), '+1\n');
    await hears(HaMessageType.SEGMENT_TAKE);
    const activate = await happens(() => followed.find(({ kind }) => kind === 'activate'));
    assert.ok(activate.kind === 'activate');
    assert.equal([...activate.spis].length, 1);
    assert.equal(partner.serves(CHARON), true);
    assert.ok(said.includes('took 1 segment, 0, and has 1 now (ordered)'));
    writeFileSync(join(directory, 'fifo'), '*1\n');
    await hears(HaMessageType.IKE_ADD);
    assert.ok(followed.some(({ kind }) => kind === 'replace-child-sas'));
    assert.equal(partner.handOver(), true);
    await hears(HaMessageType.SEGMENT_DROP);
    assert.ok(followed.some(({ kind }) => kind === 'deactivate'));
  });

  it('takes everything when charon falls silent', async () => {
    await start({ heartbeatTimeout: 60 });
    await hears(HaMessageType.SEGMENT_TAKE);
    assert.deepEqual(partner.segments, [1]);
    assert.equal(partner.handOver(), false);
    assert.match(
      said.join(),
      /node 127\.0\.0\.1\[1\] is silent,took 1 segment, 0, and has 1 now \(silent\)/,
    );
  });

  it('counts what strangers send and what charon cannot have meant, and looks at no more of it', async () => {
    await start();
    const stranger = createSocket('udp4').bind(0, '127.0.0.1');
    await once(stranger, 'listening');
    tell([...upToFirstChild, Uint8Array.of(3, HaMessageType.SEGMENT_TAKE, 34, 0, 1)], stranger);
    await happens(() => partner.counts.get('unknown-source') === upToFirstChild.length + 1);
    stranger.close();
    for (const octets of upToFirstChild) {
      for (let length = 0; length < octets.length; length++) tell([octets.subarray(0, length)]);
    }
    tell([Uint8Array.of(4, 10), Uint8Array.of(9, 10), Uint8Array.of(3, 10, 34, 0, 200)]);
    await happens(() => partner.counts.get('unknown-segment') === 1);
    assert.equal(partner.counts.get('other-version'), 1);
    assert.ok((partner.counts.get('malformed') ?? 0) > 100);
    assert.deepEqual(followed, []);
    // One line for each reason, however many there were.
    assert.equal(said.filter((what) => /malformed/.test(what)).length, 1);
  });

  it('says which line of the FIFO is no command', async () => {
    await start();
    writeFileSync(join(directory, 'fifo'), 'hello\n+2\n');
    await happens(() => partner.counts.get('unknown-command') === 2);
    assert.deepEqual(partner.segments, []);
  });

  it('does not open at an address that is not here', async () => {
    await assert.rejects(
      start({ local: { address: ipAddress(Uint8Array.of(192, 0, 2, 77)), port: 4510 } }),
      /EADDRNOTAVAIL/,
    );
  });
});
