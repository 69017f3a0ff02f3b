// Builds the site for the browser tests, before several of them would do it at the same time.
import { buildSite } from '../../../support/browser/site.mjs';

await buildSite();
