/** The few interfaces of every JavaScript host that core/ may use; none of them draws. */
declare const crypto: { randomUUID(): string };
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean });
  decode(bytes?: ArrayBufferView): string;
}
declare class Blob {
  constructor(parts: any[]);
  stream(): any;
  arrayBuffer(): Promise<ArrayBuffer>;
}
declare class DecompressionStream {
  constructor(format: string);
  readable: any;
  writable: any;
}
