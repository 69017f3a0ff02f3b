// Draws pictures in a grid. The frame of a picture is green if it matches its prompt and red otherwise.
import { PNG } from 'pngjs';

const columns = 8;
const scale = 4;
const frame = 4;
const gap = 4;
const green = [40, 170, 80];
const red = [215, 50, 50];

/**
 * `entries`: { picture: planar [3, size, size] in [-1, 1], ok }, all of the same size. Returns the bytes of a
 * PNG.
 */
export function contactSheet(entries, size) {
  const cell = size * scale + 2 * frame + gap;
  const rows = Math.ceil(entries.length / columns);
  const sheet = new PNG({ width: columns * cell + gap, height: rows * cell + gap });
  sheet.data.fill(255);
  for (const [index, entry] of entries.entries()) {
    const left = gap + (index % columns) * cell;
    const top = gap + Math.floor(index / columns) * cell;
    paint(sheet, left, top, size * scale + 2 * frame, () => (entry.ok ? green : red));
    paint(sheet, left + frame, top + frame, size * scale, (x, y) =>
      colourOf(entry.picture, size, Math.floor(y / scale) * size + Math.floor(x / scale)),
    );
  }
  return PNG.sync.write(sheet);
}

function paint(sheet, left, top, side, colourAt) {
  for (let y = 0; y < side; ++y) {
    for (let x = 0; x < side; ++x) sheet.data.set(colourAt(x, y), 4 * ((top + y) * sheet.width + left + x));
  }
}

function colourOf(picture, size, pixel) {
  return [0, 1, 2].map((channel) => {
    const value = picture[channel * size * size + pixel];
    return Math.round(127.5 * (Math.min(1, Math.max(-1, value)) + 1));
  });
}
