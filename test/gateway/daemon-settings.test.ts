import assert from 'node:assert/strict';
import {
  DEFAULT_GATEWAY_SETTINGS,
  GATEWAY_KEYS,
  settingName,
} from '../../src/config/gateway-settings.ts';
import { DaemonSettings } from '../../src/gateway/daemon-settings.ts';

describe('Settings of the running daemon', () => {
  it('change in the object that everyone holds', () => {
    const settings = new DaemonSettings(DEFAULT_GATEWAY_SETTINGS);
    const { current } = settings;
    assert.deepEqual(settings.replace({ ...DEFAULT_GATEWAY_SETTINGS, maxChildren: 3 }), []);
    assert.equal(current.maxChildren, 3);
    assert.equal(DEFAULT_GATEWAY_SETTINGS.maxChildren, 256, 'the defaults do not');
  });

  it('that devices and sockets were opened with wait for a restart, by name', () => {
    const settings = new DaemonSettings(DEFAULT_GATEWAY_SETTINGS);
    const next = {
      ...DEFAULT_GATEWAY_SETTINGS,
      device: 'vpn0',
      mtu: 1400,
      mssClamp: false,
      aead: 'evp' as const,
      resolvConf: '',
      portIke: 1500,
      portNatT: 14_500,
      retransmitTries: 1,
    };
    const waiting = ['device', 'mtu', 'mss_clamp', 'aead', 'resolv_conf', 'port', 'port_nat_t'];
    assert.deepEqual(
      settings.replace(next),
      waiting.map((name) => `gateway.${name}`),
    );
    assert.deepEqual(settings.current, { ...DEFAULT_GATEWAY_SETTINGS, retransmitTries: 1 });
    assert.equal(settings.replace(next).length, waiting.length, 'as long as they do');
    assert.deepEqual(settings.replace(DEFAULT_GATEWAY_SETTINGS), []);
  });

  it('are named as they are written', () => {
    const names: readonly string[] = GATEWAY_KEYS;
    const keys: readonly (keyof typeof DEFAULT_GATEWAY_SETTINGS)[] = [
      'device',
      'mtu',
      'mssClamp',
      'aead',
      'resolvConf',
      'portIke',
      'portNatT',
      'cookieThresholdPerAddress',
      'halfOpenTimeoutSeconds',
      'maxIkeSasPerIdentity',
      'deleteRekeyedDelaySeconds',
    ];
    for (const key of keys) assert.ok(names.includes(settingName(key)), settingName(key));
  });
});
