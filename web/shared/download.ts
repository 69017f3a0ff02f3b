/** Lets the browser save bytes as a file. */
export function download(bytes: BlobPart, name: string, type = 'application/octet-stream'): void {
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The click only starts the download; the URL must stay valid after this task.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
