// npm run bench:webgpu: measures the layer and other libraries on WebGPU, in a page of Chromium.
// `npm run bench:webgpu -- --help` lists the options.
import { writeFileSync } from 'node:fs';
import { shapeNamed } from '../../support/shapes.mjs';
import { readCommandLine } from '../../tools/lib/command_line.mjs';
import { machine } from '../../support/machine.mjs';
import { contenders } from './contenders.mjs';
import { openPage } from './open_page.mjs';
import { command } from './options.mjs';
import { adapterText, measurementTable, notMeasuredText } from './report.mjs';
import { toJson } from './summary.mjs';

const options = readCommandLine(command);

/** Shows a line of progress on a terminal; the next one replaces it. */
function showProgress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

const { page, version, files, close } = await openPage(options.adapter, ({ shape, name, stage }) =>
  showProgress(`${shape}, ${contenders[name].label}: ${stage}`),
);
try {
  const environment = {
    machine: machine(),
    browser: `Chromium ${version}`,
    adapter: await page.evaluate(() => globalThis.benchmark.describeAdapter()),
  };
  if (environment.adapter === null) {
    throw new Error('this machine has no WebGPU adapter; use --adapter swiftshader to compute in software');
  }
  const { processor, cores, system } = environment.machine;
  console.log(`${processor}, ${cores} cores; ${system}; ${environment.browser}`);
  console.log(`Adapter: ${adapterText(environment.adapter)}`);
  console.log(
    'Forward, float32, a new context in every call. Contenders are measured in turns. Times are medians ' +
      'over the rounds; ratios are computed within each round.\nUpload: copies the image to the device. ' +
      'Compute: from the call until the queue is done, with all data on the device. Error: the maximum, ' +
      'relative to the largest output in WebAssembly.',
  );
  const failures = await page.evaluate(
    ([names, addresses]) => globalThis.benchmark.start(names, addresses),
    [options.contenders, files],
  );
  const measurements = [];
  for (const shape of options.shapes.map(shapeNamed)) {
    const { records, notMeasured } = await page.evaluate(
      ([one, count]) => globalThis.benchmark.measure(one, count),
      [shape, options.rounds],
    );
    showProgress('');
    const measurement = { shape, records, notMeasured: [...failures, ...notMeasured] };
    measurements.push(measurement);
    console.log(`\n${measurementTable(measurement)}`);
    if (measurement.notMeasured.length > 0) console.log(notMeasuredText(measurement.notMeasured));
  }
  if (options.json) {
    writeFileSync(options.json, `${JSON.stringify(toJson(environment, measurements), null, 2)}\n`);
  }
} finally {
  await close();
}
