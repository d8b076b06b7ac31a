import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strictInterfaces } from '../../src/io/reverse-path.ts';

/** Settings as the kernel shows them. */
function strict(modes: Readonly<Record<string, number>>): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'tsgw-rp-'));
  try {
    for (const [device, mode] of Object.entries(modes)) {
      mkdirSync(join(folder, device));
      writeFileSync(join(folder, device, 'rp_filter'), `${mode}\n`);
    }
    return strictInterfaces('tsgw0', folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('Reverse path filtering', () => {
  it('is strict where the greater of the two settings says so', () => {
    assert.deepEqual(strict({ all: 0, eth0: 1, eth1: 0, eth2: 2 }), ['eth0']);
    assert.deepEqual(strict({ all: 1, eth0: 0, eth1: 1, eth2: 2 }), ['eth0', 'eth1']);
    assert.deepEqual(strict({ all: 2, eth0: 1, eth1: 0 }), []);
  });

  it('of the own device, of loopback and of what is no interface does not count', () => {
    assert.deepEqual(strict({ all: 1, default: 1, lo: 1, tsgw0: 1 }), []);
  });

  it('is not known where the settings cannot be read', () => {
    assert.deepEqual(strictInterfaces('tsgw0', '/nonexistent'), []);
    assert.deepEqual(strict({ eth0: 1 }), []);
  });
});
