/**
 * A painting as one safetensors file: the layer's five tensors under the names that diffusers knows, and beside
 * them what else it takes to paint: the context vectors, the frequencies of the pixels' features, the picture.
 */
import type { Picture } from '../../shared/picture_source';
import {
  SafetensorsError,
  readSafetensors,
  storeFloats,
  takeFloats,
  takeTensor,
  writeSafetensors,
  type SafetensorsFile,
} from '../../shared/safetensors';
import { FourierFeatures } from './fourier_features';
import { MODEL_WIDTH, PaintingModel } from './painting_model';
import { Painting } from './painting';

const FORMAT = 'paint-by-attention/1';
const CONTEXT = 'context';
const FREQUENCIES = 'frequencies';
const PICTURE = 'picture';
const LARGEST_CONTEXT = 1024;
const LARGEST_PICTURE = 256;

export function savePainting({ picture, model, step, configuration }: Painting): Uint8Array<ArrayBuffer> {
  const { name, size, pixels } = picture;
  const { frequencies } = model.features;
  const { tensors } = readSafetensors(model.layer.saveWeights());
  tensors.set(CONTEXT, storeFloats(model.context, [model.contextLength, MODEL_WIDTH]));
  tensors.set(FREQUENCIES, storeFloats(frequencies, [frequencies.length / 2, 2]));
  tensors.set(PICTURE, { dtype: 'U8', shape: [size, size, 4], bytes: new Uint8Array(pixels.buffer) });
  const metadata = { format: FORMAT, name, step: String(step), heads: String(configuration.heads) };
  return writeSafetensors({ tensors, metadata });
}

/** The painting as it was when it was saved. The error says what is wrong with the file, in words for the visitor. */
export function loadPainting(fileName: string, bytes: Uint8Array): Painting {
  try {
    const file = readSafetensors(bytes);
    expectThat(file.metadata['format'] === FORMAT, `its metadata do not say “${FORMAT}”`);
    return new Painting(parsePicture(file), parseModel(file), parseCount(file, 'step', 0));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `“${fileName}” is not a painting saved on this page: ${reason}${reason.endsWith('.') ? '' : '.'}`,
      { cause: error },
    );
  }
}

function parsePicture(file: SafetensorsFile): Picture {
  const { shape, bytes } = takeTensor(file, PICTURE, 'U8', 3);
  const [height, size, channels] = shape as [number, number, number];
  const fits = height === size && channels === 4 && size > 0 && size <= LARGEST_PICTURE;
  expectThat(fits, `its picture has the shape ${shape.join(' × ')}`);
  const pixels = new Uint8ClampedArray(bytes.slice().buffer);
  return { name: file.metadata['name'] ?? 'Loaded picture', size, pixels };
}

function parseModel(file: SafetensorsFile): PaintingModel {
  const context = takeFloats(file, CONTEXT, 2);
  const [length, width] = context.shape as [number, number];
  expectThat(
    length > 0 && length <= LARGEST_CONTEXT && width === MODEL_WIDTH,
    `its context has the shape ${length} × ${width}`,
  );
  const features = new FourierFeatures(takeFloats(file, FREQUENCIES, 2).values);
  expectThat(features.width === MODEL_WIDTH, 'it has another number of frequencies');

  // The layer gets to see its own tensors only, and judges those itself.
  const tensors = new Map(file.tensors);
  for (const name of [PICTURE, CONTEXT, FREQUENCIES]) tensors.delete(name);
  const layerWeights = writeSafetensors({ tensors, metadata: {} });
  return PaintingModel.restored(layerWeights, parseCount(file, 'heads', 1), features, context.values);
}

function parseCount(file: SafetensorsFile, key: string, least: number): number {
  const count = Number(file.metadata[key]);
  expectThat(Number.isSafeInteger(count) && count >= least, `its metadata tell no “${key}”`);
  return count;
}

function expectThat(condition: boolean, complaint: string): void {
  if (!condition) throw new SafetensorsError(complaint);
}
