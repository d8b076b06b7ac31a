/**
 * A FIFO in which scripts write commands, as they do to charon's `charon.ha`: what is written is handed on as
 * it comes, by whoever may write there. Only root may where nobody made the FIFO before.
 *
 * It is open for writing here too, so that a writer that ends ends nothing.
 */
import { execFile } from 'node:child_process';
import { constants, lstatSync, openSync, type Stats, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';

export class CommandFifo {
  readonly #path: string;
  readonly #socket: Socket;
  /** It was not there before. */
  readonly #isOurs: boolean;
  #isClosed = false;

  private constructor(path: string, fd: number, isOurs: boolean) {
    this.#path = path;
    this.#isOurs = isOurs;
    this.#socket = new Socket({ fd, readable: true, writable: false });
  }

  /** Makes it where it is not there. Rejects where something else is, or nothing can be made. */
  static async open(path: string, onText: (text: string) => void): Promise<CommandFifo> {
    const before = statusOf(path);
    if (before && !before.isFIFO()) throw new Error(`${path} is there, and is no FIFO`);
    if (!before) await promisify(execFile)('mkfifo', ['-m', '600', path]);
    const { O_RDWR, O_NONBLOCK } = constants;
    const fifo = new CommandFifo(path, openSync(path, O_RDWR | O_NONBLOCK), !before);
    fifo.#socket.setEncoding('utf8');
    fifo.#socket.on('data', (text) => onText(String(text)));
    // Nothing can be read any more: scripts will see that, as nobody reads what they write.
    fifo.#socket.on('error', () => fifo.close());
    return fifo;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    if (this.#isOurs && statusOf(this.#path)?.isFIFO()) unlinkSync(this.#path);
  }
}

function statusOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
