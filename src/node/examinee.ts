import { WarrenError } from '../../protocols/kernel/errors.ts'
import type { DoctorCheck, DoctorOptions, NodeOptions, WarrenNode } from '../types.ts'
import { createNode, DEFAULT_LISTEN } from './create-node.ts'
import { elsewhere } from './doctor-host.ts'

/** A node that is there to be examined. */
export interface Examinee extends AsyncDisposable {
  /** The port of the options that another program holds; the node listens on others then. */
  taken: string | undefined
  doctor(options?: DoctorOptions): Promise<DoctorCheck[]>
}

/**
 * Starts a node for an examination alone: it has an identity of its own and keeps nothing. It listens where the options say if
 * that is free, because firewalls and routers have rules for ports.
 */
export async function startExaminee(options: NodeOptions): Promise<Examinee> {
  const { dataDir: _, identity: __, ...rest } = options
  // It is gone in seconds: nobody is to rely on it.
  const passing: NodeOptions = { ...rest, relay: 'off' }
  try {
    return examineeOf(await createNode(passing), undefined)
  } catch (err) {
    if (!(err instanceof WarrenError) || err.code !== 'ERR_PORT_IN_USE') throw err
    const listen = (options.listen ?? DEFAULT_LISTEN).map(onAnyPort)
    return examineeOf(await createNode({ ...passing, listen }), String(err.detail['port']))
  }
}

function onAnyPort(address: string): string {
  return address.replace(/\/tcp\/\d+/, '/tcp/0')
}

function examineeOf(node: WarrenNode, taken: string | undefined): Examinee {
  return {
    taken,
    doctor: async (options) => {
      const checks = await node.doctor(options)
      return taken === undefined ? checks : checks.map((check) => elsewhere(check, taken))
    },
    [Symbol.asyncDispose]: () => node.stop({ reason: 'the examination is over' }),
  }
}
