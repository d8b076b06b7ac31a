/**
 * A file each way at once through the tunnel of a lab, and the same octets at the other end.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, until } from '../../lab/command.ts';
import { readLog } from '../../lab/gateway.ts';
import { type Family, hostAddress, type Offloads, setOffloads } from '../../lab/topology.ts';
import type { Lab } from './lab.ts';

/** No whole number of packets of any size. */
const OCTETS = 20_000_003;

export interface Mode {
  readonly links: Offloads;
  readonly outer: Family;
  readonly inner: Family;
  readonly encap: 'yes' | 'no';
}

/** Registers a test for each mode; the caller's lab stands in between. */
export function carriesFiles(lab: Lab, modes: readonly Mode[]): void {
  afterEach(() => lab.clear());
  for (const mode of modes) {
    const { links, outer, inner, encap } = mode;
    const esp = encap === 'yes' ? 'UDP' : 'protocol 50';
    it(`is the same, ${inner} in ${outer}, ${esp}, links ${links}`, () => sameFiles(lab, mode));
  }
}

async function sameFiles(lab: Lab, { links, outer, inner, encap }: Mode): Promise<void> {
  const { topology } = lab;
  await setOffloads(topology, links);
  await lab.up('initiator', { outer, inner, connection: { encap } });
  const before = await lab.tunnel();
  assert.equal(before.subjectChild.encap, encap === 'yes');
  const files = await exchange(lab, hostAddress('h2', inner));
  assert.deepEqual([files.arrivedAtH2, files.arrivedAtH1], [files.sentByH1, files.sentByH2]);
  const after = await lab.tunnel();
  for (const way of ['bytes-in', 'bytes-out']) {
    const octets = Number(after.subjectChild.raw[way]) - Number(before.subjectChild.raw[way]);
    assert.ok(octets > OCTETS, `${octets} octets passed the tunnel (${way})`);
  }
}

/** The digests of two files of random octets, as they left and as they arrived. */
async function exchange({ topology: { network } }: Lab, address: string) {
  const file = (name: string) => join(network.directory, name);
  const end = (node: 'h1' | 'h2', verb: string, other: string) =>
    launch(
      [
        ...[...network.at(node), process.execPath, 'build/test/support/file-exchange.js'],
        ...[verb, address, file(`${node}.sent`), file(`${other}.arrived`)],
      ],
      { logFile: file(`${node}-exchange.log`) },
    );
  for (const node of ['h1', 'h2']) writeFileSync(file(`${node}.sent`), randomBytes(OCTETS));
  writeFileSync(file('h2-exchange.log'), '');
  const server = end('h2', 'serve', 'h1');
  await until('h2 to listen', () => readLog(file('h2-exchange.log')) !== '' || undefined);
  const client = end('h1', 'fetch', 'h2');
  for (const one of [server, client]) {
    await until('both files', () => one.exitCode ?? undefined, 50_000);
    assert.equal(one.exitCode, 0, readLog(file('h1-exchange.log')));
  }
  const digest = (name: string) =>
    createHash('sha256')
      .update(readFileSync(file(name)))
      .digest('hex');
  return {
    ...{ sentByH1: digest('h1.sent'), arrivedAtH2: digest('h1.arrived') },
    ...{ sentByH2: digest('h2.sent'), arrivedAtH1: digest('h2.arrived') },
  };
}
