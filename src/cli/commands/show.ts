/** Commands that ask the node something and print the answer. */
import { DONE, FAILED } from '../exit.ts'
import { asking, findNode } from '../find-node.ts'
import type { Given } from '../given.ts'
import { print, show } from '../print.ts'
import { renderExplanation } from '../render-explanation.ts'
import { renderEvent, renderPeers, renderServices, renderStatus } from '../render.ts'
import type { ServicesView } from '../render.ts'
import type { WarrenClient } from '../../client/index.ts'
import { interrupted } from '../signals.ts'

async function answer<T>(
  { flags }: Given,
  ask: (client: WarrenClient) => Promise<T>,
  render: (value: T) => string,
): Promise<void> {
  const { client, json } = await findNode(flags)
  show(json, await asking(() => ask(client)), render)
}

export async function status(given: Given): Promise<number> {
  await answer(given, (client) => client.status(), renderStatus)
  return DONE
}

export async function peers(given: Given): Promise<number> {
  await answer(given, (client) => client.peers(), renderPeers)
  return DONE
}

export async function explain(given: Given): Promise<number> {
  const [peer = ''] = given.args
  await answer(given, (client) => client.explain(peer), renderExplanation)
  return DONE
}

export async function services(given: Given): Promise<number> {
  await answer(given, servicesView, renderServices)
  return DONE
}

async function servicesView(client: WarrenClient): Promise<ServicesView> {
  const [shared, forwards, peers] = await Promise.all([
    client.services(),
    client.forwards(),
    client.peers(),
  ])
  const offered = peers
    .filter(({ services }) => services.length > 0)
    .map(({ peer, services }) => ({ peer, services }))
  return { shared, forwards, offered }
}

export async function events({ flags }: Given): Promise<number> {
  const { client, json } = await findNode(flags)
  const { signal } = interrupted()
  const stream = await asking(() => client.events({ signal }))
  for await (const event of stream) print(json ? JSON.stringify(event) : renderEvent(event))
  if (signal.aborted) return DONE
  process.stderr.write('the node has ended the stream\n')
  return FAILED
}
