import assert from 'node:assert/strict';
import { TAP_PACKET_COST, TAP_WORDS } from '../../src/esp/captured-lot.ts';
import { PacketLoopsCapture } from '../../src/io/packet-loops-capture.ts';
import { instant } from '../../src/wire/instant.ts';

const SETTINGS = { snapLength: 100, dropsOnly: false };

function captureOver(workers: number) {
  const told: string[] = [];
  const reports: string[] = [];
  const capture = new PacketLoopsCapture(workers, {
    tell: (worker, command) => told.push(`${worker} ${JSON.stringify(command)}`),
    report: (report) =>
      reports.push(report.kind === 'capture-ended' ? `ended ${report.missed}` : report.kind),
  });
  return { capture, told, reports };
}

describe('A capture over several workers', () => {
  it('has ended when all of them have', () => {
    const { capture, told, reports } = captureOver(2);
    capture.begin(SETTINGS);
    assert.equal(told.length, 2);
    capture.end();
    capture.hear(1, { kind: 'capture-ended', missed: 3 });
    capture.hear(1, { kind: 'capture-ended', missed: 0 });
    assert.deepEqual(reports, []);
    capture.hear(0, { kind: 'capture-ended', missed: 4 });
    assert.deepEqual(reports, ['ended 7']);
  });

  it('gives each worker its credit back', () => {
    const { capture, told, reports } = captureOver(2);
    const lot = { at: instant(1), octets: new Uint8Array(50), missed: 0 };
    capture.hear(1, { kind: 'captured', ...lot, rows: new Int32Array(2 * TAP_WORDS) });
    assert.deepEqual(reports, ['captured']);
    assert.deepEqual(told, [`1 {"kind":"capture-taken","credit":${50 + 2 * TAP_PACKET_COST}}`]);
  });

  it('goes on in a worker that takes the place of another, with what it follows by then', () => {
    const { capture, told, reports } = captureOver(2);
    capture.replaced(0);
    capture.follow(6);
    assert.deepEqual(told, [], 'nothing is captured');
    capture.begin({ ...SETTINGS, childSas: [4] });
    capture.follow(5);
    told.splice(0);
    capture.replaced(1);
    assert.deepEqual(told, [
      '1 {"kind":"capture","settings":{"snapLength":100,"dropsOnly":false,"childSas":[4,5]}}',
    ]);
    capture.end();
    capture.hear(0, { kind: 'capture-ended', missed: 1 });
    capture.replaced(1);
    assert.deepEqual(reports, ['ended 1'], 'one that died says nothing any more');
  });
});
