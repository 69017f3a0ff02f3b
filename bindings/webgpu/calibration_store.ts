// Calibrations in the page's IndexedDB, which workers have, too, and Node does not.
import { get, set } from 'idb-keyval';
import type { Calibration } from './cost_model';
import type { Strategy } from './recording';

/** Measurements of a device and its fastest strategy. */
export interface StoredCalibration {
  calibration: Calibration;
  strategy: Strategy;
  /** Date.now() */
  measuredAt: number;
}

/** Older calibrations are discarded: drivers and browsers change. */
const maxAge = 14 * 24 * 3600 * 1000;

/** Returns null if there is no calibration of this key, it is too old, or the storage can't be read. */
export async function loadCalibration(key: string): Promise<StoredCalibration | null> {
  if (typeof indexedDB === 'undefined') return null;
  try {
    const stored = await get<StoredCalibration>(key);
    return stored && Date.now() - stored.measuredAt < maxAge ? stored : null;
  } catch {
    return null;
  }
}

/** Does nothing if the storage is full or not allowed: the device is then measured again next time. */
export async function storeCalibration(key: string, stored: StoredCalibration): Promise<void> {
  if (typeof indexedDB === 'undefined') return;
  await set(key, stored).catch(() => {});
}
