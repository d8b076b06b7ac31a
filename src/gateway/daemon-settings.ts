/**
 * The settings of the section `gateway { }` as they are in force: some may change while the daemon
 * runs, the others wait for its next start.
 *
 * `current` is one object for the life of the daemon: who holds it sees what changes.
 */
import { type GatewaySettings, settingName } from '../config/gateway-settings.ts';

/** What devices and sockets were opened with, and libraries chosen by. */
const FIXED = [
  'device',
  'mtu',
  'mssClamp',
  'offload',
  'aead',
  'workers',
  'resolvConf',
  'portIke',
  'portNatT',
] as const;

export class DaemonSettings {
  readonly #settings: { -readonly [Key in keyof GatewaySettings]: GatewaySettings[Key] };

  constructor(settings: GatewaySettings) {
    this.#settings = { ...settings };
  }

  get current(): GatewaySettings {
    return this.#settings;
  }

  /** Puts in force what can be; answers the names of changed settings that wait for a restart. */
  replace(settings: GatewaySettings): readonly string[] {
    const before = { ...this.#settings };
    const waiting = FIXED.filter((key) => settings[key] !== before[key]);
    const fixed = Object.fromEntries(FIXED.map((key) => [key, before[key]]));
    Object.assign(this.#settings, settings, fixed);
    return waiting.map((key) => `gateway.${settingName(key)}`);
  }
}
