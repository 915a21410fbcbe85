import { open } from 'node:fs/promises'

/** The beginning of a file, as much as `most` bytes: files of the kernel have no size to go by. */
export async function readStart(path: string, most: number): Promise<string> {
  await using file = await open(path, 'r')
  const buffer = Buffer.alloc(most)
  let size = 0
  while (size < most) {
    const { bytesRead } = await file.read(buffer, size, most - size)
    if (bytesRead === 0) break
    size += bytesRead
  }
  return buffer.toString('latin1', 0, size)
}
