/** Commands that share a service with peers, or use one of theirs, while the node runs. */
import {
  formatHostPort,
  parseAllow,
  parseListen,
  parseRemote,
  parseServiceName,
  parseTarget,
} from '../../config/places.ts'
import { ClientError } from '../../client/index.ts'
import { DONE } from '../exit.ts'
import { asking, findNode } from '../find-node.ts'
import type { Given } from '../given.ts'
import { formatAllow } from '../render.ts'
import { print, show } from '../print.ts'

interface ShareFlags {
  allow?: string[]
  remove?: true
}

export async function expose({ args, flags, own }: Given): Promise<number> {
  const [nameText = '', target] = args
  const { allow, remove } = own as ShareFlags
  const name = parseServiceName(nameText)
  if (remove) {
    refuseMore(target ?? allow)
    return end(flags, (client) => client.unexpose(name), `${name} is no longer shared.`)
  }
  if (target === undefined)
    throw wrongUse(
      'the service has no HOST:PORT',
      `warren expose ${name} 127.0.0.1:8080 --allow all`,
    )
  if (allow === undefined)
    throw wrongUse(
      'it is not said who may use the service',
      `warren expose ${name} ${target} --allow all (every member of this network), or --allow PEER…`,
    )
  const wish = { name, target: formatHostPort(parseTarget(target)), allow: parseAllow(allow) }
  const { client, json } = await findNode(flags)
  const service = await asking(() => client.expose(wish))
  show(json, service, () =>
    [
      `${service.name} (${service.target}) is shared with ${formatAllow(service.allow)} until the node stops.`,
      `To have it at every start: warren up --expose ${service.name}=${service.target},allow=${[service.allow].flat().join('+')}`,
    ].join('\n'),
  )
  return DONE
}

export async function forward({ args, flags, own }: Given): Promise<number> {
  const [listenText = '', remote] = args
  const listen = parseListen(listenText)
  if ((own as ShareFlags).remove) {
    refuseMore(remote)
    return end(flags, (client) => client.unforward(listen), `${listen} leads nowhere any more.`)
  }
  if (remote === undefined)
    throw wrongUse('it is not said where it leads', `warren forward ${listenText} PEER/NAME`)
  const wish = { listen, ...parseRemote(remote) }
  const { client, json } = await findNode(flags)
  const made = await asking(() => client.forward(wish))
  show(json, made, () =>
    [
      `${made.listen} leads to ${made.service} of ${made.peer} until the node stops.`,
      `To have it at every start: warren up --forward ${made.listen}=${made.peer}/${made.service}`,
    ].join('\n'),
  )
  return DONE
}

async function end(
  flags: Given['flags'],
  remove: (client: Awaited<ReturnType<typeof findNode>>['client']) => Promise<void>,
  sentence: string,
): Promise<number> {
  const { client, json } = await findNode(flags)
  await asking(() => remove(client))
  if (!json) print(sentence)
  return DONE
}

function refuseMore(extra: unknown): void {
  if (extra !== undefined)
    throw wrongUse('--remove takes nothing but the name', 'Leave the rest out.')
}

const wrongUse = (message: string, remedy: string): ClientError =>
  new ClientError({ code: 'ERR_CONFIG_INVALID', message, detail: { remedy } })
