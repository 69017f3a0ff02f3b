// Files on disk, in Node. A part of platform_node.
import { open } from 'node:fs/promises';
import type { DiskFile } from './platform';

/** Opens a file by path or file: URL. Throws Node's error if there is no such file. */
export async function openDiskFile(location: string | URL): Promise<DiskFile> {
  const withFile = async <T>(work: (file: Awaited<ReturnType<typeof open>>) => Promise<T>): Promise<T> => {
    const file = await open(location);
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  };
  const first = await withFile((file) => file.stat());
  if (!first.isFile()) throw new Error('not a regular file');
  return {
    size: first.size,
    read: (begin, target) =>
      withFile(async (file) => {
        const now = await file.stat();
        if (now.size !== first.size || now.mtimeMs !== first.mtimeMs) {
          throw new Error('the file has changed since it was opened; open it again');
        }
        for (let at = 0; at < target.length;) {
          // Node limits a read to 2 GiB.
          const length = Math.min(target.length - at, 1 << 26);
          const { bytesRead } = await file.read(target, at, length, begin + at);
          if (bytesRead === 0) throw new Error(`the file ended after ${begin + at} bytes`);
          at += bytesRead;
        }
      }),
  };
}
