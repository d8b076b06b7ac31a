/**
 * vici clients that no swanctl is: they send nonsense, stop in the middle, or never read.
 */
import { connect, type Socket } from 'node:net';
import { sleep } from '../../lab/command.ts';
import { seededNumbers } from './seeded-random.ts';

export class AbusiveClients {
  readonly #path: string;
  readonly #random: () => number;
  readonly #sockets: Socket[] = [];

  constructor(uri: string) {
    this.#path = uri.replace(/^unix:\/\//, '');
    this.#random = seededNumbers(4303);
  }

  /** Connections that say nothing; those the daemon turns away count as well. */
  async connect(count: number): Promise<void> {
    for (let index = 0; index < count; index++) await this.#open();
  }

  /** Random octets, and random octets inside segments that are announced rightly. */
  async nonsense(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const octets = this.#octets(1 + Math.floor(this.#random() * 2000));
      const socket = await this.#open();
      socket.write(index % 2 === 0 ? octets : segment(octets));
      if (index % 4 < 2) socket.end();
    }
  }

  async hugeLengths(): Promise<void> {
    for (const length of [0, 0x8_0001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      const socket = await this.#open();
      socket.write(Buffer.concat([lengthOctets(length), this.#octets(100_000)]));
    }
  }

  /** Half of a length, or half of a packet, and then silence. */
  async halfSegments(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const whole = request('list-sas');
      (await this.#open()).write(whole.subarray(0, 1 + (index % (whole.length - 1))));
    }
  }

  /** Registers for everything that happens, asks and asks, and reads not one octet. */
  async requestsNeverRead(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const socket = await this.#open();
      for (const event of ['log', 'tsgw-event', 'list-sa', 'list-conn']) {
        socket.write(segment(named(3, event)));
      }
      // A client may send a few requests ahead; these come as fast as they are taken.
      for (let sent = 0; sent < 40; sent++) {
        socket.write(request(sent % 2 === 0 ? 'list-sas' : 'get-algorithms'));
        await sleep(1);
      }
    }
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }

  async #open(): Promise<Socket> {
    const socket = connect(this.#path);
    socket.pause();
    socket.on('error', () => undefined);
    this.#sockets.push(socket);
    await new Promise<void>((resolve) => {
      socket.once('connect', resolve);
      socket.once('close', resolve);
    });
    return socket;
  }

  #octets(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => Math.floor(this.#random() * 256)));
  }
}

/** A segment with a request of a command that takes no arguments. */
function request(command: string): Buffer {
  return segment(named(0, command));
}

function named(type: number, name: string): Buffer {
  return Buffer.concat([Buffer.from([type, name.length]), Buffer.from(name)]);
}

function segment(packet: Buffer): Buffer {
  return Buffer.concat([lengthOctets(packet.length), packet]);
}

function lengthOctets(length: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(length);
  return octets;
}
