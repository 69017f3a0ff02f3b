/**
 * Calls `receive` with files that are dropped anywhere on the page, and sets `data-dragging` on `surface`
 * while files are dragged over the page. Without this, the browser would leave the page and open the file.
 */
export function onFileDrop(surface: HTMLElement, receive: (files: readonly File[]) => void): void {
  // 'dragenter' of a child fires before 'dragleave' of its parent, so that a boolean would flicker.
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
