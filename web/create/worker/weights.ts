import weights from '../../model/scenes.safetensors?url';

/** Downloads the weights of the trained model from this site. */
export async function downloadWeights(): Promise<ArrayBuffer> {
  const response = await fetch(new URL(weights, import.meta.url));
  if (!response.ok)
    throw new Error(`the download of its weights failed: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}
