// Opens a page whose problems are recorded. Playwright and Puppeteer have the same methods for this.

const problemTypes = ['error', 'warning', 'warn'];

/** Opens a page in a new browser context, which is closed with it. Returns an OpenPage of browsers.mjs. */
export async function openPage(context, address) {
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => {
    if (problemTypes.includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(address);
  return { problems, evaluate: (source) => page.evaluate(source), close: () => context.close() };
}
