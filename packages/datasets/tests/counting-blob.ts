/** A file that counts what is read of it. */
export class CountingBlob extends Blob {
  /** Bytes read so far. */
  read = 0;
  /** Reads of so many bytes. */
  readonly sizes: number[] = [];

  override slice(start = 0, end = this.size): Blob {
    this.read += end - start;
    this.sizes.push(end - start);
    return super.slice(start, end);
  }
}
