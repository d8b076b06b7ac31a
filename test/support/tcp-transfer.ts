/**
 * One end of a TCP transfer: `serve ADDRESS` prints the digest of what it received,
 * `send ADDRESS OCTETS` the digest of what it sent.
 */
import { createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';

const PORT = 5001;
const CHUNK = 64 * 1024;

function serve(address: string): void {
  const server = createServer((socket) => {
    const hash = createHash('sha256');
    let octets = 0;
    socket.on('data', (data) => {
      hash.update(data);
      octets += data.length;
    });
    socket.on('end', () => {
      print({ octets, digest: hash.digest('hex') });
      socket.end();
      server.close();
    });
  });
  server.listen(PORT, address, () => print({ listening: true }));
}

function send(address: string, octets: number): void {
  const hash = createHash('sha256');
  const socket = connect(PORT, address);
  let left = octets;
  const more = (): void => {
    while (left > 0) {
      const chunk = new Uint8Array(Math.min(CHUNK, left)).map((_, at) => (at * 31 + left) & 0xff);
      hash.update(chunk);
      left -= chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.end();
    print({ octets, digest: hash.digest('hex') });
  };
  socket.on('connect', more);
  socket.on('drain', more);
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const [verb, address = '', octets = '0'] = process.argv.slice(2);
if (verb === 'serve') serve(address);
else send(address, Number(octets));
