/**
 * The library as others embed it: nothing here is imported from anywhere but the index.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type {
  Action,
  ChildPolicy,
  ChildSa,
  Config,
  ConfigWarning,
  Connection,
  Event,
  GatewayOptions,
  IkeEnvironment,
  IkeMessage,
  IkeSettings,
  Input,
  Instant,
  IpAddress,
  Outcome,
  Payload,
  RandomBytes,
  SaSelector,
  TrafficClock,
} from '../src/index.ts';
import * as library from '../src/index.ts';

/** Every type an embedder may name. */
type Named = [
  [Action, ChildPolicy, ChildSa, Config, ConfigWarning, Connection, Event, GatewayOptions],
  [IkeEnvironment, IkeMessage, IkeSettings, Input, Instant, IpAddress, Outcome, Payload],
  [RandomBytes, SaSelector, TrafficClock],
];

describe('The public library', () => {
  it('has these names and no others', () => {
    assert.deepEqual(Object.keys(library).sort(), [
      'AddressPools',
      'ConfigError',
      'ConfigErrors',
      'DEFAULT_IKE_SETTINGS',
      'DropReason',
      'Gateway',
      'IkeEndpoint',
      'MalformedError',
      'Pad',
      'ReplayWindow',
      'SecretBytes',
      'ViciClient',
      'decodeMessage',
      'dropReasonName',
      'encodeMessage',
      'formatAddress',
      'instant',
      'loadConfig',
      'logLine',
      'parseAddress',
    ]);
  });

  it('has these types, says the compiler', () => {
    const values: readonly Named[] = [];
    assert.deepEqual(values, []);
  });

  it('is what the package exports', () => {
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
    assert.deepEqual(exports, {
      '.': { types: './build/src/index.d.ts', default: './build/src/index.js' },
    });
  });
});

describe('Two IKE engines embedded in one program', () => {
  const {
    AddressPools,
    IkeEndpoint,
    Pad,
    DEFAULT_IKE_SETTINGS,
    instant,
    loadConfig,
    logLine,
    parseAddress,
  } = library;

  /** The configuration of one of two sites, in swanctl.conf grammar. */
  function site(own: 'a' | 'b', other: 'a' | 'b'): string {
    const networks = { a: '10.1.0.0/16', b: '10.2.0.0/16' };
    return `
      connections {
        tunnel {
          local_addrs = %any
          remote_addrs = %any
          local { auth = psk
            id = ${own}.example }
          remote { auth = psk
            id = ${other}.example }
          children {
            net {
              local_ts = ${networks[own]}
              remote_ts = ${networks[other]}
            }
          }
        }
      }
      secrets {
        ike-1 { secret = "both ends know it" }
      }`;
  }

  /** A repeatable source; a program that is no test takes `crypto.randomBytes`. */
  function numbered(first: number): RandomBytes {
    let next = first;
    return (length) => Uint8Array.from({ length }, () => (next = (next * 167 + 13) & 0xff));
  }

  function address(text: string): IpAddress {
    const parsed = parseAddress(text);
    assert.ok(parsed);
    return parsed;
  }

  function endpointOf(config: Config, random: RandomBytes): library.IkeEndpoint {
    const pad = new Pad();
    for (const connection of config.connections) pad.load(connection);
    for (const secret of config.secrets) pad.loadShared(secret);
    const traffic: TrafficClock = { lastInbound: () => undefined, lastOutbound: () => undefined };
    const settings: IkeSettings = DEFAULT_IKE_SETTINGS;
    const pools = new AddressPools();
    for (const pool of config.pools) pools.load(pool);
    return new IkeEndpoint({ random, pad, pools, settings, traffic, keyLog: false });
  }

  it('bring up a tunnel over a wire that is a list', () => {
    const ends = { a: address('192.0.2.1'), b: address('192.0.2.2') };
    const endpoints = {
      a: endpointOf(
        loadConfig(site('a', 'b'), 'a.conf', () => []),
        numbered(1),
      ),
      b: endpointOf(
        loadConfig(site('b', 'a'), 'b.conf', () => []),
        numbered(2),
      ),
    };
    const wire: (readonly [to: 'a' | 'b', input: Input])[] = [];
    const installed = new Map<'a' | 'b', ChildSa>();
    const log: string[] = [];
    let outcome: Outcome | undefined;

    function perform(side: 'a' | 'b', action: Action): void {
      if (action.kind === 'send') {
        const { local, remote, octets } = action;
        const to = side === 'a' ? 'b' : 'a';
        wire.push([to, { kind: 'datagram', local: remote, remote: local, octets }]);
      }
      if (action.kind === 'install-child-sa') installed.set(side, action.childSa);
      if (action.kind === 'complete') outcome = action.outcome;
      if (action.kind === 'emit') log.push(`${side} ${logLine(action.event)}`);
    }

    wire.push([
      'a',
      {
        kind: 'initiate',
        request: 1,
        connection: 'tunnel',
        child: 'net',
        local: { address: ends.a, port: 500 },
        remote: { address: ends.b, port: 500 },
      },
    ]);
    for (let milliseconds = 0; wire.length > 0; milliseconds++) {
      const [side, input] = wire.shift() ?? assert.fail();
      const now: Instant = instant(milliseconds);
      for (const action of endpoints[side].handle(input, now)) perform(side, action);
    }

    assert.deepEqual(outcome, { kind: 'done', matches: 1, terminated: 0 });
    const [a, b] = [installed.get('a'), installed.get('b')];
    assert.ok(a && b);
    assert.deepEqual([a.spiIn, a.spiOut], [b.spiOut, b.spiIn]);
    assert.deepEqual(a.keysOut.encryption.reveal(), b.keysIn.encryption.reveal());
    assert.equal(log.filter((line) => / ike-sa-up /.test(line)).length, 2);
    assert.equal(endpoints.a.ikeSas().length, 1);
    const next = endpoints.a.nextDeadline() ?? Number.NaN;
    assert.ok(
      next >= 3_240_000 && next <= 3_600_010,
      'the Child SA is replaced in an hour or less',
    );
  });
});
