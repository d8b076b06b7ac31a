/**
 * A worker thread that seals a packet, says `ready`, then answers every datagram on the descriptor
 * it was given by the datagram's length.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createBatch, Word } from '../../src/esp/batch.ts';
import { native } from '../../src/io/native.ts';

const fd: number = workerData;
const addon = native();
const batch = createBatch(4);
const number = addon.batch(batch.arena, batch.words, batch.origins);
const context = addon.context({
  cipher: 'aes-128-gcm',
  key: new Uint8Array(16),
  salt: new Uint8Array(4),
  icvLength: 16,
  esn: false,
  seal: true,
});
batch.words[Word.LENGTH] = 100;
batch.words[Word.CONTEXT] = context;
const sealed = addon.seal(number, 0, 1);
addon.watch(fd, () => {
  batch.words[Word.LENGTH] = 1000;
  addon.receive(fd, number, 0, 1);
  parentPort?.postMessage(batch.words[Word.LENGTH]);
});
parentPort?.postMessage(sealed === 1 ? 'ready' : 'not sealed');
