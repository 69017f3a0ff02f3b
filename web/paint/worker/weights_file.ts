/**
 * Saves and loads a painting as a safetensors file: the layer's five tensors under their names in diffusers,
 * the context vectors, the frequencies of the pixels' features and the picture.
 */
import { messageOf } from '../../shared/message_of';
import type { Picture } from '../../shared/picture_source';
import {
  SafetensorsError,
  floatTensor,
  readFloats,
  readSafetensors,
  readTensor,
  writeSafetensors,
  type SafetensorsFile,
} from '../../shared/safetensors';
import { FourierFeatures } from './fourier_features';
import { Painting } from './painting';
import { modelWidth, PaintingModel } from './painting_model';

const fileFormat = 'paint-by-attention/1';
const contextName = 'context';
const frequenciesName = 'frequencies';
const pictureName = 'picture';
const maxContextLength = 1024;
const maxPictureSize = 256;

/** Returns the bytes of a safetensors file that loadPainting reads. */
export function savePainting({ picture, model, step, configuration }: Painting): Uint8Array<ArrayBuffer> {
  const { name, size, pixels } = picture;
  const { frequencies } = model.features;
  const { tensors } = readSafetensors(model.layer.saveWeights());
  tensors.set(contextName, floatTensor(model.context, [model.contextLength, modelWidth]));
  tensors.set(frequenciesName, floatTensor(frequencies, [frequencies.length / 2, 2]));
  tensors.set(pictureName, { dtype: 'U8', shape: [size, size, 4], bytes: new Uint8Array(pixels.buffer) });
  const metadata = { format: fileFormat, name, step: String(step), heads: String(configuration.heads) };
  return writeSafetensors({ tensors, metadata });
}

/** Returns a saved painting. Throws with a message for visitors if the file is invalid. */
export function loadPainting(fileName: string, bytes: Uint8Array): Painting {
  try {
    const file = readSafetensors(bytes);
    check(file.metadata['format'] === fileFormat, `the metadata's format is not “${fileFormat}”`);
    return new Painting(parsePicture(file), parseModel(file), parseCount(file, 'step', 0));
  } catch (error) {
    const reason = messageOf(error);
    throw new Error(
      `“${fileName}” is not a painting saved on this page: ${reason}${reason.endsWith('.') ? '' : '.'}`,
      { cause: error },
    );
  }
}

function parsePicture(file: SafetensorsFile): Picture {
  const { shape, bytes } = readTensor(file, pictureName, 'U8', 3);
  const [height, size, channels] = shape as [number, number, number];
  const fits = height === size && channels === 4 && size > 0 && size <= maxPictureSize;
  check(
    fits,
    `the tensor "picture" has the shape [${shape.join(', ')}]; ` +
      `expected [size, size, 4] with a size of at most ${maxPictureSize}`,
  );
  const pixels = new Uint8ClampedArray(bytes.slice().buffer);
  return { name: file.metadata['name'] ?? 'Loaded picture', size, pixels };
}

function parseModel(file: SafetensorsFile): PaintingModel {
  const context = readFloats(file, contextName, 2);
  const [length, width] = context.shape as [number, number];
  check(
    length > 0 && length <= maxContextLength && width === modelWidth,
    `the tensor "context" has the shape [${length}, ${width}]; ` +
      `expected [length, ${modelWidth}] with a length of at most ${maxContextLength}`,
  );
  const features = new FourierFeatures(readFloats(file, frequenciesName, 2).values);
  check(
    features.width === modelWidth,
    `the tensor "frequencies" gives ${features.width} features; expected ${modelWidth}`,
  );

  // The layer checks its own tensors; it must not get the others.
  const tensors = new Map(file.tensors);
  for (const name of [pictureName, contextName, frequenciesName]) tensors.delete(name);
  const layerWeights = writeSafetensors({ tensors, metadata: {} });
  return PaintingModel.restored(layerWeights, parseCount(file, 'heads', 1), features, context.values);
}

function parseCount(file: SafetensorsFile, key: string, min: number): number {
  const count = Number(file.metadata[key]);
  check(Number.isSafeInteger(count) && count >= min, `the metadata's “${key}” is not an integer ≥ ${min}`);
  return count;
}

/** Throws a SafetensorsError with this message if the condition is false. */
function check(condition: boolean, message: string): void {
  if (!condition) throw new SafetensorsError(message);
}
