import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { VirtualSettings } from '../../src/ike/action.ts';
import {
  answerConfigurationMessage,
  answerConfigurationRequest,
  type ClientConfiguration,
  configurationRequest,
  MAX_VIRTUAL_ADDRESSES,
  readConfigurationReply,
} from '../../src/ike/configuration.ts';
import { ConfigurationType, decodeCp, encodeCp } from '../../src/ike/message/cp.ts';
import type {
  ConfigurationAttribute,
  ConfigurationPayload,
} from '../../src/ike/message/message.ts';
import { faultNotify, type PeerFault } from '../../src/ike/peer-fault.ts';
import { AddressPools } from '../../src/ipsec/address-pools.ts';
import { AttributeType } from '../../src/ipsec/configuration-attribute.ts';
import { formatAddress, type IpAddress } from '../../src/wire/address.ts';
import { fromHex, OctetReader, OctetWriter, toHex } from '../../src/wire/octets.ts';
import { fqdn } from '../support/connections.ts';
import { address, holder, poolOf } from '../support/pools.ts';

const { CFG_REQUEST, CFG_REPLY, CFG_SET, CFG_ACK } = ConfigurationType;
const {
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_DNS,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DNS,
  SUPPORTED_ATTRIBUTES,
} = AttributeType;
const NOTHING = new Uint8Array();

interface Recording {
  readonly payloads: {
    readonly request: { readonly vips: readonly string[]; readonly octets: string };
    readonly reply: { readonly addresses: readonly string[]; readonly octets: string };
  };
}

const file = 'vectors/recorded/charon-5.9.8-pools.json';
const { payloads: recorded }: Recording = JSON.parse(readFileSync(file, 'utf8'));

function cp(type: number, ...attributes: readonly ConfigurationAttribute[]): ConfigurationPayload {
  return { kind: 'CP', type, attributes };
}

/** CFG_REQUEST for addresses; `0.0.0.0` asks for any. */
function asking(...vips: readonly string[]): ConfigurationPayload {
  const request = configurationRequest(vips.map(address));
  assert.ok(request);
  return request;
}

function pools(...all: readonly Parameters<typeof poolOf>[]): AddressPools {
  const made = new AddressPools();
  for (const one of all) made.load(poolOf(...one));
  return made;
}

function answer(
  from: AddressPools,
  names: readonly string[],
  request: ConfigurationPayload | undefined,
  addresses: readonly IpAddress[] = [],
): ClientConfiguration | PeerFault {
  const client = { identity: fqdn('alice'), holder: holder(), pools: names, addresses };
  return answerConfigurationRequest(from, client, request);
}

function configured(result: ClientConfiguration | PeerFault): ClientConfiguration {
  assert.ok(result.kind === 'configured', result.kind === 'fault' ? result.what : '');
  return result;
}

function fault(result: ClientConfiguration | VirtualSettings | PeerFault): PeerFault {
  assert.ok('kind' in result && result.kind === 'fault', 'there is no fault');
  return result;
}

/** `type value` in hex, for each attribute. */
function printed(payload: ConfigurationPayload | undefined): readonly string[] | undefined {
  return payload?.attributes.map(({ type, value }) => `${type} ${toHex(value)}`.trim());
}

function texts(addresses: readonly IpAddress[]): readonly string[] {
  return addresses.map(formatAddress);
}

describe('Answering a client that asks for addresses (RFC 7296 §2.19)', () => {
  const dns = 'dns = 10.2.0.53';

  it('gives one of each family asked for, and what its pools say', () => {
    const from = pools(['four', '10.3.0.0/24', dns], ['six', '2001:db8:3::/64', '25 = lab']);
    const given = configured(answer(from, ['four', 'six'], asking('0.0.0.0', '::')));
    assert.deepEqual(texts(given.addresses), ['10.3.0.1', '2001:db8:3::1']);
    assert.equal(given.reply?.type, CFG_REPLY);
    assert.deepEqual(printed(given.reply), [
      '1 0a030001',
      '8 20010db800030000000000000000000140',
      '3 0a020035',
      '25 6c6162',
    ]);
  });

  it('says nothing of pools it took no address from, and nothing twice', () => {
    const from = pools(
      ['a', '10.3.0.1', dns],
      ['b', '10.3.0.2', dns],
      ['c', '10.3.0.3', 'dns = 10.2.0.54'],
    );
    const given = configured(answer(from, ['a', 'b', 'c'], asking('0.0.0.0', '0.0.0.0')));
    assert.deepEqual(printed(given.reply), ['1 0a030001', '1 0a030002', '3 0a020035']);
  });

  it('answers also when only IPv6 is asked for, and leaves out a family it does not have', () => {
    const from = pools(['four', '10.3.0.0/24'], ['six', '2001:db8:3::/64']);
    const six = configured(answer(from, ['four', 'six'], asking('2001:db8:3::77')));
    assert.deepEqual(texts(six.addresses), ['2001:db8:3::77']);
    const both = configured(answer(from, ['four'], asking('2001:db8:3::77', '0.0.0.0')));
    assert.deepEqual(texts(both.addresses), ['10.3.0.1']);
  });

  it('takes an IPv6 address with or without its prefix length', () => {
    for (const octets of [
      '20010db8000300000000000000000077',
      '20010db800030000000000000000007780',
    ]) {
      const request = cp(CFG_REQUEST, { type: INTERNAL_IP6_ADDRESS, value: fromHex(octets) });
      const from = pools(['six', '2001:db8:3::/64']);
      const given = configured(answer(from, ['six'], request));
      assert.deepEqual(texts(given.addresses), ['2001:db8:3::77']);
    }
  });

  it('refuses with INTERNAL_ADDRESS_FAILURE only when it has no address at all (§3.15.4)', () => {
    const from = pools(['one', '10.3.0.1']);
    assert.equal(answer(from, ['one'], asking('0.0.0.0', '0.0.0.0', '::')).kind, 'configured');
    const refused = fault(answer(from, ['one'], asking('0.0.0.0', '::')));
    assert.equal(faultNotify(refused).type, 36);
    assert.equal(refused.what, 'no IPv4 and IPv6 address for alice in one');
    const without = fault(answer(from, [], asking('0.0.0.0')));
    assert.equal(without.what, 'no IPv4 address for alice in no pool');
  });

  it('refuses with FAILED_CP_REQUIRED a client of pools that asks for no address', () => {
    const from = pools(['one', '10.3.0.1']);
    const dnsOnly = cp(CFG_REQUEST, { type: INTERNAL_IP4_DNS, value: NOTHING });
    const any = { type: INTERNAL_IP4_ADDRESS, value: NOTHING };
    for (const request of [undefined, dnsOnly, cp(CFG_SET, any), cp(CFG_REPLY, any)]) {
      assert.equal(faultNotify(fault(answer(from, ['one'], request))).type, 37);
    }
    const again = configured(answer(from, ['one'], undefined, [address('10.3.0.1')]));
    assert.deepEqual(texts(again.addresses), ['10.3.0.1'], 'it has one already');
    assert.equal(again.reply, undefined);
    const more = configured(answer(from, ['one'], asking('0.0.0.0'), [address('10.3.9.9')]));
    assert.deepEqual(texts(more.addresses), ['10.3.9.9', '10.3.0.1']);
    assert.deepEqual(printed(more.reply), ['1 0a030001'], 'what is new');
  });

  it('wants nothing of a peer without pools', () => {
    assert.deepEqual(configured(answer(pools(), [], undefined)), {
      kind: 'configured',
      addresses: [],
      reply: undefined,
    });
  });

  it('refuses an address of the wrong length and takes nothing for it', () => {
    const from = pools(['four', '10.3.0.0/24'], ['six', '2001:db8:3::/64']);
    for (const [type, length] of [
      [INTERNAL_IP4_ADDRESS, 5],
      [INTERNAL_IP4_ADDRESS, 16],
      [INTERNAL_IP6_ADDRESS, 4],
      [INTERNAL_IP6_ADDRESS, 18],
    ] as const) {
      const any = { type: INTERNAL_IP4_ADDRESS, value: NOTHING };
      const wrong = { type, value: new Uint8Array(length) };
      const refused = fault(answer(from, ['four', 'six'], cp(CFG_REQUEST, any, wrong)));
      assert.equal(refused.fault, 'invalid-syntax');
      assert.match(refused.what, new RegExp(`ADDRESS of ${length} octets, 0 or`));
    }
    assert.deepEqual(
      from.views().map(({ online }) => online),
      [0, 0],
    );
  });

  it('gives one IKE SA so many addresses and no more', () => {
    const from = pools(['four', '10.3.0.0/24']);
    const greedy = asking(...Array.from({ length: 40 }, () => '0.0.0.0'));
    const given = configured(answer(from, ['four'], greedy));
    assert.equal(given.addresses.length, MAX_VIRTUAL_ADDRESSES);
    assert.equal(from.views()[0]?.online, MAX_VIRTUAL_ADDRESSES);
    const more = answer(from, ['four'], asking('0.0.0.0'), given.addresses);
    assert.equal(fault(more).fault, 'internal-address-failure');
  });

  it('tells a client that wonders which attributes there are', () => {
    const wonders = { type: SUPPORTED_ATTRIBUTES, value: NOTHING };
    const request = cp(CFG_REQUEST, { type: INTERNAL_IP4_ADDRESS, value: NOTHING }, wonders);
    const given = configured(answer(pools(['four', '10.3.0.1']), ['four'], request));
    assert.match(printed(given.reply)?.[1] ?? '', /^14 0001000200030004000600070008/);
    const alone = configured(answer(pools(), [], cp(CFG_REQUEST, wonders)));
    assert.deepEqual(printed(alone.reply), [printed(given.reply)?.[1]]);
  });

  it('passes over whatever else is in the request', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ type: fc.integer({ min: 15, max: 0x7fff }), value: fc.uint8Array() }),
          { maxLength: 10 },
        ),
        (others) => {
          const any = { type: INTERNAL_IP4_ADDRESS, value: NOTHING };
          const from = pools(['four', '10.3.0.0/24', dns]);
          const given = configured(answer(from, ['four'], cp(CFG_REQUEST, ...others, any)));
          assert.deepEqual(printed(given.reply), ['1 0a030001', '3 0a020035']);
        },
      ),
    );
  });
});

describe('Configuration payloads of whatever content', () => {
  const arbitrary = fc.record({
    kind: fc.constant('CP' as const),
    type: fc.integer({ min: 0, max: 5 }),
    attributes: fc.array(
      fc.record({
        type: fc.integer({ min: 0, max: 16 }),
        value: fc.uint8Array({ maxLength: 20 }),
      }),
      { maxLength: 20 },
    ),
  });

  it('are answered, or refused by a value', () => {
    fc.assert(
      fc.property(arbitrary, (payload) => {
        const from = pools(['four', '10.3.0.0/24'], ['six', '2001:db8:3::/64']);
        const result = answer(from, ['four', 'six'], payload);
        const taken = from.views().reduce((sum, { online }) => sum + online, 0);
        assert.equal(taken, result.kind === 'fault' ? 0 : result.addresses.length);
        answerConfigurationMessage(payload);
        const settings = readConfigurationReply(payload, [address('0.0.0.0')]);
        assert.ok('kind' in settings || settings.addresses.every(({ family }) => family === 4));
      }),
    );
  });
});

describe('A configuration payload in INFORMATIONAL (§3.15)', () => {
  it('is answered without giving or taking anything', () => {
    const any = { type: INTERNAL_IP4_ADDRESS, value: NOTHING };
    assert.deepEqual(answerConfigurationMessage(cp(CFG_REQUEST, any)), cp(CFG_REPLY));
    assert.deepEqual(answerConfigurationMessage(cp(CFG_SET, any)), cp(CFG_ACK));
    for (const type of [CFG_REPLY, CFG_ACK, 9]) {
      assert.equal(answerConfigurationMessage(cp(type, any)), undefined);
    }
  });

  it('says which attributes there are', () => {
    const wonders = { type: SUPPORTED_ATTRIBUTES, value: NOTHING };
    assert.match(printed(answerConfigurationMessage(cp(CFG_REQUEST, wonders)))?.[0] ?? '', /^14 /);
  });
});

describe('Asking for virtual addresses', () => {
  it('names them as charon does, and asks for the name servers of their families', () => {
    const { vips, octets } = recorded.request;
    const request = asking(...vips);
    const charons = decodeCp(new OctetReader(fromHex(octets)));
    assert.equal(request.type, charons.type);
    assert.deepEqual(printed(request), [...(printed(charons) ?? []), '3', '10']);
    assert.deepEqual(printed(asking('10.3.0.7')), ['1 0a030007', '3']);
  });

  it('is not done without any', () => {
    assert.equal(configurationRequest([]), undefined);
  });
});

describe('What the gateway gives (§2.19, §3.15.4)', () => {
  const given = (...attributes: readonly ConfigurationAttribute[]) => cp(CFG_REPLY, ...attributes);
  const ip4 = (text: string) => ({ type: INTERNAL_IP4_ADDRESS, value: address(text).octets });
  const read = (payload: ConfigurationPayload | undefined, ...vips: readonly string[]) =>
    readConfigurationReply(payload, vips.map(address));

  function settings(result: VirtualSettings | PeerFault): VirtualSettings {
    assert.ok(!('kind' in result), 'kind' in result ? result.what : '');
    return result;
  }

  it('is read as charon sends it', () => {
    const { addresses, octets } = recorded.reply;
    const reply = decodeCp(new OctetReader(fromHex(octets)));
    const found = settings(read(reply, '0.0.0.0', '::'));
    assert.deepEqual(texts(found.addresses), addresses);
    const writer = new OctetWriter();
    encodeCp(writer, reply);
    assert.equal(toHex(writer.finish()), octets);
  });

  it('is what a pool of ours says, each kind in its place, the rest as it came', () => {
    const lines = 'dns = 10.2.0.53, 2001:db8::53\n25 = lab\nsubnet = 10.2.0.0/16\n28672 = hello';
    const from = pools(['four', '10.3.0.0/24', lines]);
    const { reply } = configured(answer(from, ['four'], asking('0.0.0.0')));
    const found = settings(read(reply, '0.0.0.0'));
    assert.deepEqual(texts(found.addresses), ['10.3.0.1']);
    assert.deepEqual(texts(found.nameServers), ['10.2.0.53', '2001:db8::53']);
    assert.deepEqual(printed(given(...found.attributes)), [
      '25 6c6162',
      '13 0a020000ffff0000',
      '28672 68656c6c6f',
    ]);
  });

  it('is enough with one of the families asked for', () => {
    const found = settings(read(given(ip4('10.3.0.1')), '0.0.0.0', '::'));
    assert.deepEqual(texts(found.addresses), ['10.3.0.1']);
  });

  it('is nothing where nothing was asked for, whatever came', () => {
    for (const payload of [undefined, given(), given(ip4('10.3.0.1'))]) {
      assert.deepEqual(settings(read(payload)).addresses, []);
    }
  });

  it('is of no use without an address', () => {
    const any = { type: INTERNAL_IP4_ADDRESS, value: NOTHING };
    const other = { type: INTERNAL_IP6_ADDRESS, value: new Uint8Array(17).fill(0x20) };
    const request = cp(CFG_REQUEST, ip4('10.3.0.1'));
    for (const payload of [undefined, given(), given(any), given(other), request]) {
      const { fault: kind, what } = fault(read(payload, '0.0.0.0'));
      assert.equal(kind, 'internal-address-failure');
      assert.equal(what, 'no virtual address given, 0.0.0.0 asked for');
    }
  });

  it('is refused where no host can have the address', () => {
    for (const text of ['127.0.0.1', '224.0.0.1', '255.255.255.255', '0.0.0.1']) {
      const refused = fault(read(given(ip4(text)), '0.0.0.0'));
      assert.equal(refused.what, `virtual address ${text}: no host's`);
    }
    assert.equal(
      fault(read(given({ ...ip4('10.3.0.1'), value: new Uint8Array(5) }), '0.0.0.0')).fault,
      'invalid-syntax',
    );
  });

  it('holds no more addresses and name servers than we take', () => {
    const addresses = Array.from({ length: 50 }, (_, index) => ip4(`10.3.0.${index + 1}`));
    const servers = addresses.map(({ value }) => ({ type: INTERNAL_IP4_DNS, value }));
    const short = { type: INTERNAL_IP6_DNS, value: new Uint8Array(4) };
    const few = settings(read(given(short, ip4('10.3.0.1')), '0.0.0.0'));
    assert.deepEqual(few.nameServers, []);
    const found = settings(read(given(...addresses, ...servers), '0.0.0.0'));
    assert.equal(found.addresses.length, MAX_VIRTUAL_ADDRESSES);
    assert.equal(found.nameServers.length, 16);
  });
});
