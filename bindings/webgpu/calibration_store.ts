// Calibrations that were measured before, in the page's storage: it is there in workers, too, and not in Node.
import { get, set } from 'idb-keyval';
import type { Calibration } from './cost_model';
import type { Strategy } from './recording';

/** What a device was found to do, and how it does it best. */
export interface StoredCalibration {
  calibration: Calibration;
  strategy: Strategy;
  /** Date.now() */
  measuredAt: number;
}

/** Drivers and browsers change. */
const longestMilliseconds = 14 * 24 * 3600 * 1000;

/** Null where none is stored, it is old, or the storage can't be read: then it is measured. */
export async function loadCalibration(key: string): Promise<StoredCalibration | null> {
  if (typeof indexedDB === 'undefined') return null;
  try {
    const stored = await get<StoredCalibration>(key);
    return stored && Date.now() - stored.measuredAt < longestMilliseconds ? stored : null;
  } catch {
    return null;
  }
}

/** Storage may be full, or forbidden: then it is measured again next time. */
export async function storeCalibration(key: string, stored: StoredCalibration): Promise<void> {
  if (typeof indexedDB === 'undefined') return;
  await set(key, stored).catch(() => {});
}
