/** What the laboratory uses of HyperDHT, which comes without types. */
declare module 'hyperdht' {
  import type { Duplex } from 'node:stream'

  interface KeyPair {
    publicKey: Buffer
    secretKey: Buffer
  }

  interface SecretStream extends Duplex {
    readonly rawStream: { readonly remoteHost: string | null; readonly remotePort: number }
  }

  interface Server {
    listen(keyPair: KeyPair): Promise<void>
  }

  class DHT {
    constructor(options: { bootstrap: string[]; ephemeral?: boolean; firewalled?: boolean })
    static bootstrapper(port: number, host: string): DHT
    static keyPair(): KeyPair
    fullyBootstrapped(): Promise<void>
    createServer(onConnection: (stream: SecretStream) => void): Server
    connect(publicKey: Buffer): SecretStream
  }

  export = DHT
}
