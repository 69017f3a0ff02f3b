// All cases, in the order of the table.
import * as browsers from '../cases_browsers.mjs';
import * as bundlers from '../cases_bundlers.mjs';
import * as programs from '../cases_programs.mjs';
import * as site from '../cases_site.mjs';

const sources = [programs, bundlers, browsers, site];

/** @type {import('./run_case.mjs').Case[]} */
export const allCases = sources.flatMap(({ cases }) => cases);

/** Ends servers and browsers that cases share. */
export async function closeAll() {
  for (const { close } of sources) await close?.();
}
