/**
 * One end of a TCP connection by which each end gets the other's file, both ways at once:
 *
 *   node build/test/support/file-exchange.js serve|fetch ADDRESS FILE-TO-SEND FILE-TO-WRITE
 *
 * The serving end prints `listening` and takes one connection; both end when both files are over.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';

const PORT = 5002;

async function exchange(socket: Socket, sent: string, received: string): Promise<void> {
  await Promise.all([
    pipeline(createReadStream(sent), socket),
    pipeline(socket, createWriteStream(received), { end: true }),
  ]);
}

function main([verb, address = '', sent = '', received = '']: readonly string[]): void {
  if (verb === 'fetch') {
    const socket = connect({ port: PORT, host: address, allowHalfOpen: true });
    socket.once('connect', () => exchange(socket, sent, received));
    return;
  }
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    server.close();
    exchange(socket, sent, received);
  });
  server.listen(PORT, address, () => console.log('listening'));
}

main(process.argv.slice(2));
