// Builds the site before the browser tests start: otherwise, several of them would build it at the same time.
import { buildSite } from '../../../support/browser/site.mjs';

await buildSite();
