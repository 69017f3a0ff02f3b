import weights from '../../model/scenes.safetensors?url';

/** The trained model, as this site brings it. */
export async function downloadWeights(): Promise<ArrayBuffer> {
  const response = await fetch(new URL(weights, import.meta.url));
  if (!response.ok)
    throw new Error(`the model could not be loaded: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}
