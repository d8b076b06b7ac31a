/**
 * `tsgw capture`: packets inside and outside the tunnels into a pcapng file, each with its SA and, where
 * it was dropped, the reason.
 */
import { CaptureFile, CaptureKeys, isReaderGone } from '../io/capture-file.ts';
import { packageVersion } from '../io/system.ts';
import { CAPTURE_KEY_EVENT, CAPTURED_EVENT, SNAP_LENGTH } from '../vici/capture-view.ts';
import type { ViciClient } from '../vici/client.ts';
import { type ViciSection, viciOctets, viciSection, viciText } from '../vici/message.ts';
import { complain, withDaemon } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { printable } from './terminal.ts';
import type { Call } from './verb.ts';

export async function capture(call: Call): Promise<ExitCode> {
  const wrong = usageFault(call);
  if (wrong !== undefined) {
    complain(call, wrong);
    return ExitCode.USAGE;
  }
  return withDaemon(call, (client) => captureFrom(call, client));
}

async function captureFrom(call: Call, client: ViciClient): Promise<ExitCode> {
  const into = opened(call);
  if (into === undefined) return ExitCode.FAILED;
  const { file, keys } = into;
  const taking = new Taking(call, into);
  await client.listen(CAPTURED_EVENT, (packet) => taking.packet(packet));
  if (keys) await client.listen(CAPTURE_KEY_EVENT, (key) => taking.key(key));
  const begun = await client.request('tsgw-capture-start', request(call));
  if (viciText(begun, 'success') !== 'yes') {
    file.discard();
    keys?.discard();
    complain(call, viciText(begun, 'errmsg') ?? 'the daemon does not capture');
    return ExitCode.FAILED;
  }
  const path = call.options.get('write') ?? '-';
  call.terminal.err(
    `capturing${path === '-' ? '' : ` to ${printable(path)}`} until ${until(call)}\n`,
  );
  const closed = client.closed.then(() => 'closed' as const);
  const end = await Promise.race([
    taking.enough,
    call.terminal.interrupted(),
    inTime(call),
    closed,
  ]);
  if (end === 'closed') complain(call, `the daemon at ${call.uri} closed the connection`);
  const totals = end === 'closed' ? undefined : await client.request('tsgw-capture-stop');
  taking.end(Number((totals && viciText(totals, 'missed')) ?? 0));
  return taking.fault === undefined && totals ? ExitCode.OK : ExitCode.FAILED;
}

/** Writes what comes, until there is enough of it. */
class Taking {
  readonly enough: Promise<void>;
  readonly #call: Call;
  readonly #into: Files;
  readonly #most: number;
  readonly #unknown = new Set<string>();
  #end: () => void = () => {};
  #packets = 0;
  #full = false;
  /** What went wrong while writing. */
  fault: unknown;

  constructor(call: Call, into: Files) {
    this.#call = call;
    this.#into = into;
    this.#most = Number(call.options.get('count') ?? Number.POSITIVE_INFINITY);
    this.enough = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  packet(packet: ViciSection): void {
    if (this.#full) return;
    const text = (name: string): string => viciText(packet, name) ?? '';
    this.#writing(() =>
      this.#into.file.add({
        side: text('side') === 'inner' ? 'inner' : 'outer',
        direction: text('direction') === 'in' ? 'in' : 'out',
        time: Number(text('time')),
        octets: viciOctets(packet, 'octets') ?? new Uint8Array(0),
        length: Number(text('length')),
        comment: comment(packet),
      }),
    );
    this.#packets++;
    if (this.#packets >= this.#most) this.#stop();
  }

  key(key: ViciSection): void {
    const line = viciText(key, 'line');
    const name = `${viciText(key, 'ike')}/${viciText(key, 'child')}`;
    if (line !== undefined) this.#writing(() => this.#into.keys?.add(line));
    else if (!this.#unknown.has(name)) {
      this.#unknown.add(name);
      complain(this.#call, `no keys of ${name}: Wireshark does not know its algorithms`);
    }
  }

  /** Ends the files and tells what is in them. */
  end(missed: number): void {
    const { file, keys } = this.#into;
    this.#writing(() => file.end(missed));
    this.#writing(() => keys?.end());
    const { terminal } = this.#call;
    if (this.fault !== undefined) complain(this.#call, `the capture is not whole: ${this.fault}`);
    terminal.err(`${this.#packets} packets captured${missed > 0 ? `, ${missed} missed` : ''}\n`);
    const path = printable(this.#call.options.get('write') ?? '');
    if (keys) {
      terminal.err(
        `opens with: WIRESHARK_CONFIG_DIR=${printable(keys.directory)} wireshark ${path}\n`,
      );
    }
  }

  #stop(): void {
    this.#full = true;
    this.#end();
  }

  #writing(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!isReaderGone(error)) this.fault ??= error;
      this.#stop();
    }
  }
}

interface Files {
  readonly file: CaptureFile;
  readonly keys: CaptureKeys | undefined;
}

function opened(call: Call): Files | undefined {
  const path = call.options.get('write') ?? '-';
  const snapLength = Number(call.options.get('snaplen') ?? SNAP_LENGTH.usual);
  try {
    const file = new CaptureFile(path, `tsgw ${packageVersion()}`, snapLength);
    if (!call.switches.has('keys')) return { file, keys: undefined };
    const keys = new CaptureKeys(`${path}.keys`);
    complain(
      call,
      `whoever reads ${keys.directory} reads all traffic of its SAs: delete it in time`,
    );
    return { file, keys };
  } catch (error) {
    complain(call, error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** `connection=peer child=net child-sa=3 spi-in=... drop=bad-icv`: the keys of `tsgw log`. */
function comment(packet: ViciSection): string {
  const pairs = [
    ['ike', 'connection'],
    ['child', 'child'],
    ['child-sa', 'child-sa'],
    ['spi-in', 'spi-in'],
    ['spi-out', 'spi-out'],
    ['drop', 'drop'],
    ['note', 'note'],
  ] as const;
  return pairs
    .map(([name, key]) => [key, viciText(packet, name)] as const)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${printable(value)}`]))
    .join(' ');
}

function request({ options, switches }: Call): ViciSection {
  return viciSection([
    ['ike', options.get('ike')],
    ['child', options.get('child')],
    ['spi', options.get('spi')],
    ['drops', switches.has('drops') || undefined],
    ['snaplen', options.get('snaplen')],
    ['keys', switches.has('keys') || undefined],
  ]);
}

function usageFault({ options, switches }: Call): string | undefined {
  const path = options.get('write');
  if (path === undefined || path === '') return 'capture needs -w FILE; -w - is standard output';
  if (path === '-' && switches.has('keys')) return '--keys needs -w FILE: they lie beside it';
  const odd = ['count', 'seconds', 'snaplen'].find(
    (name) => options.has(name) && !/^[1-9]\d{0,8}$/.test(options.get(name) ?? ''),
  );
  return odd === undefined ? undefined : `--${odd} needs a number from 1`;
}

function until({ options }: Call): string {
  const count = options.get('count');
  const seconds = options.get('seconds');
  return [
    ...(count === undefined ? [] : [`${count} packets are there`]),
    ...(seconds === undefined ? [] : [`${seconds} s are over`]),
    'Ctrl-C',
  ].join(', ');
}

/** Never, where nobody says a time. */
function inTime({ options }: Call): Promise<void> {
  const seconds = options.get('seconds');
  return new Promise((resolve) => {
    if (seconds !== undefined) setTimeout(resolve, Number(seconds) * 1000).unref();
  });
}
