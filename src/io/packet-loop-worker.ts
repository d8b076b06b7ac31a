/**
 * What the thread of a packet loop runs: it practises, then does as the control thread tells it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { PacketLoopCommand, PacketLoopSetup } from './packet-loop-protocol.ts';
import { PacketWorker } from './packet-worker.ts';
import { practise } from './practice.ts';
import { goEarly } from './system.ts';

function run(): void {
  const port = parentPort;
  if (port === null) throw new Error('the packet loop runs in a worker thread');
  const setup: PacketLoopSetup = workerData;
  // Of a cluster; the control thread says it where that is refused.
  if (setup.lease !== undefined) goEarly();
  const worker = new PacketWorker(setup, (report) =>
    // What is captured is in memory of its own, which goes over whole.
    port.postMessage(report, report.kind === 'captured' ? [report.octets.buffer] : []),
  );
  practise({ setup });
  port.on('message', (command: PacketLoopCommand) => {
    if (!worker.perform(command)) port.close();
  });
  worker.start();
}

run();
