import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { poolFromSettings } from '../../src/config/pools.ts';
import type { PoolPolicy } from '../../src/ipsec/address-pool.ts';
import { AddressPools } from '../../src/ipsec/address-pools.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { toHex } from '../../src/wire/octets.ts';
import { lease, poolOf } from '../support/pools.ts';
import { fault, faults, load, parse } from './reading.ts';

interface Recording {
  readonly pools: readonly {
    readonly addrs: string;
    readonly base: string;
    readonly size: number;
    readonly first: string;
  }[];
  readonly attributes: readonly {
    readonly key: string;
    readonly text: string;
    readonly type: number;
    readonly value: string;
  }[];
}

const file = 'vectors/recorded/charon-5.9.8-pools.json';
const recording: Recording = JSON.parse(readFileSync(file, 'utf8'));

function refused(lines: string): string {
  return fault(() => poolFromSettings('rw', parse(lines)));
}

function leases({ range }: PoolPolicy): readonly string[] {
  return [formatAddress(range.first), formatAddress(range.last)];
}

describe('Addresses of a pool', () => {
  for (const { addrs, base, size, first } of recording.pools) {
    it(`${addrs} leases what charon leases`, () => {
      const pool = poolOf('rw', addrs);
      const pools = new AddressPools();
      pools.load(pool);
      const [view] = pools.views();
      assert.deepEqual([formatAddress(pool.base), view?.size], [base, size]);
      const requested = addrs.includes(':') ? '::' : '0.0.0.0';
      assert.equal(lease(pools, ['rw'], 'alice', { requested }), first);
    });
  }

  it('end before the last of a subnet, and with the last of a range', () => {
    assert.deepEqual(leases(poolOf('rw', '10.3.0.0/24')), ['10.3.0.1', '10.3.0.254']);
    assert.deepEqual(leases(poolOf('rw', '10.3.0.5/31')), ['10.3.0.5', '10.3.0.5']);
    assert.deepEqual(leases(poolOf('rw', '10.3.0.9-10.3.0.9')), ['10.3.0.9', '10.3.0.9']);
    const large = leases(poolOf('rw', '2001:db8::/32'));
    assert.deepEqual(large, ['2001:db8::1', '2001:db8::7fff:fffe']);
  });

  it('are refused with what to write instead', () => {
    const instead = 'write one subnet such as 10.3.0.0/24 or one range such as 10.3.0.1-10.3.0.9';
    for (const addrs of ['10.3.0.0/33', 'lan', '10.3.0', '%any', '10.3.0.0/24, 10.4.0.0/24']) {
      assert.equal(
        refused(`addrs = ${addrs}`),
        `swanctl.conf:1: pools.rw.addrs = ${addrs}: ${instead}`,
      );
    }
    assert.match(refused('addrs = 10.3.0.9-10.3.0.1'), /write the lower address first/);
    assert.match(refused('addrs = 10.3.0.1-2001:db8::1'), /two addresses of one family/);
    assert.match(refused('addrs = 10.3.0.7/29'), /no address is left to lease/);
    for (const addrs of ['127.0.0.0/8', '0.0.0.0-10.0.0.1', '223.0.0.0-224.0.0.0', 'ff02::/16']) {
      assert.match(refused(`addrs = ${addrs}`), /write addresses that hosts can have$/);
    }
    assert.match(refused('dns = 10.2.0.53'), /pools.rw has no addrs: write addrs = 10.3.0.0\/24$/);
  });
});

describe('Attributes of a pool (RFC 7296 §3.15.1)', () => {
  for (const { key, text, type, value } of recording.attributes) {
    it(`${key} = ${text} becomes the octets charon sends`, () => {
      const { attributes } = poolOf('rw', '10.3.0.0/24', `${key} = "${text}"`);
      assert.deepEqual(
        attributes.map((one) => [one.type, toHex(one.value)]),
        [[type, value]],
      );
    });
  }

  it('stand in the order written, each item of a list for itself', () => {
    const lines = 'dns = 10.2.0.1, 2001:db8::1\n25 = example.org, lab\nsubnet = 10.2.0.9';
    const { attributes } = poolOf('rw', '10.3.0.0/24', lines);
    const printed = attributes.map(({ type, value }) => `${type} ${toHex(value)}`);
    assert.deepEqual(printed, [
      '3 0a020001',
      '10 20010db8000000000000000000000001',
      '25 6578616d706c652e6f7267',
      '25 6c6162',
      '13 0a020009ffffffff',
    ]);
  });

  it('of proxies for telephony have a name too', () => {
    const { attributes } = poolOf('rw', '10.3.0.0/24', 'p_cscf = 10.2.0.6, 2001:db8::6');
    assert.deepEqual(
      attributes.map(({ type }) => type),
      [20, 21],
    );
  });

  it('are refused with what to write instead', () => {
    const wrong = (line: string) => refused(`addrs = 10.3.0.0/24\n${line}`);
    const at = 'swanctl.conf:2: pools.rw.';
    assert.equal(wrong('dns = a.lab'), `${at}dns = a.lab: write an address`);
    assert.equal(wrong('subnet = lan'), `${at}subnet = lan: write a subnet`);
    assert.match(wrong('netmask = 2001:db8::'), /netmask is for IPv4 only$/);
    assert.match(wrong('split_include = 2001:db8::/32'), /split_include is for IPv4 only$/);
    for (const number of ['0', '32768', '123456', '1x']) {
      assert.match(wrong(`${number} = x`), /attribute types are decimal numbers from 1 to 32767$/);
    }
    assert.equal(wrong('dnss = 10.2.0.1'), `${at}dnss: unknown key; did you mean dns?`);
    assert.equal(wrong('constructor = x'), `${at}constructor: unknown key; remove it`);
  });

  it('are no more than an answer can hold', () => {
    const many = `16 = ${Array.from({ length: 101 }, (_, index) => index).join(', ')}`;
    assert.match(
      refused(`addrs = 10.3.0.0/24\n${many}`),
      /rw: 101 attributes of \d+ octets, at most 100 of 4096/,
    );
    const long = `16 = ${'x'.repeat(4093)}`;
    assert.match(refused(`addrs = 10.3.0.0/24\n${long}`), /1 attributes of 4097 octets/);
    assert.equal(poolOf('rw', '10.3.0.0/24', `16 = ${'x'.repeat(4092)}`).attributes.length, 1);
  });
});

describe('The section pools { }', () => {
  it('is read in order, frozen, all faults at once', () => {
    const { pools } = load('pools { a { addrs = 10.3.0.0/24\n }\nb { addrs = 2001:db8::/64\n } }');
    assert.deepEqual(
      pools.map(({ name }) => name),
      ['a', 'b'],
    );
    assert.ok(pools.every((pool) => Object.isFrozen(pool) && Object.isFrozen(pool.range)));
    const wrong = 'pools { a { addrs = lan\n dns = lan\n }\nb { nix = 1\n } }';
    assert.deepEqual(
      faults(wrong).map((message) => message.replace(/: .*/, '')),
      ['swanctl.conf:1', 'swanctl.conf:2', 'swanctl.conf:4', 'swanctl.conf:4'],
    );
  });

  it('warns of a connection with a pool that is not there', () => {
    const text = `connections { peer {\npools = rw, road\nlocal { auth = psk\n }\nremote { auth = psk\n } } }
      pools { rw6 { addrs = 2001:db8::/64\n }\nroad { addrs = 10.3.0.0/24\n } }`;
    assert.deepEqual(
      load(text).warnings.map(({ at, what }) => `${at.line}: ${what}`),
      ['2: connections.peer.pools = rw: there is no such pool; did you mean rw6?'],
    );
  });
});
