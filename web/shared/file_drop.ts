/**
 * Files dropped anywhere on the page. Without this, a drop that misses its target by a pixel would make the
 * browser leave the page for the file.
 */
export function onFileDrop(surface: HTMLElement, receive: (files: readonly File[]) => void): void {
  // Entering a child fires before leaving its parent, so a flag would flicker; a count does not.
  let depth = 0;
  const mark = (dragging: boolean): void => {
    surface.toggleAttribute('data-dragging', dragging);
  };
  document.addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    depth++;
    mark(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    mark(depth > 0);
  });
  document.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'copy';
  });
  document.addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    mark(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) receive(files);
  });
}

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}
