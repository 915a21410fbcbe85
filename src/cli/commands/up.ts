import { flushCompileCache } from 'node:module'
import { describeSettings, loadSettings } from '../../config/load.ts'
import type { Settings } from '../../config/load.ts'
import type { Control } from '../../control/server.ts'
import type { Logger, WarrenNode } from '../../types.ts'
import { createLog } from '../../observe/log.ts'
import { version } from '../../version.ts'
import { DONE, FAILED } from '../exit.ts'
import { leaveNote } from '../find-node.ts'
import { nodeOptions } from '../node-options.ts'
import type { Given } from '../given.ts'
import { renderEvent } from '../render.ts'
import { interrupted } from '../signals.ts'
import { print } from '../print.ts'
import { renderWelcome } from './welcome.ts'

/** Container runtimes kill after ten seconds; peers are told and streams closed well before. */
const STOP_MS = 5_000

/** Runs a node until it is told to stop. */
export async function up({ flags }: Given): Promise<number> {
  const loaded = await loadSettings({ user: 'up', flags, env: process.env })
  const { settings } = loaded
  const pretty = process.stderr.isTTY && !settings.json
  const log = await createLog({ level: settings['log-level'] ?? 'info', pretty })
  log.debug(describeSettings(loaded), 'settings')

  const { signal, came } = interrupted()
  let node: WarrenNode
  let control: Control | undefined
  try {
    // The node first: while its first round trips are under way, loading the API costs nothing.
    node = await start(settings, log, signal)
    control = await openApi(settings, log).catch(async (error: unknown) => {
      await within(STOP_MS, node.stop({ reason: 'no API' }), log)
      throw error
    })
    control?.attach(node)
    flushCompileCache()
  } catch (error) {
    if (signal.aborted) return DONE
    throw error
  }
  const takeNoteBack = control && tryLeaveNote(settings['data-dir'], control.address, log)
  const told = tell(node, settings, control)
  const reason = await Promise.race([came, told.then(() => undefined)])
  await within(STOP_MS, stop(node, reason ?? 'by itself', told, control), log)
  takeNoteBack?.()
  return reason === undefined ? FAILED : DONE
}

/** Without the note a command needs `--api` to find this node; that is no reason to have no node. */
function tryLeaveNote(dataDir: string, address: string, log: Logger): (() => void) | undefined {
  try {
    return leaveNote(dataDir, address)
  } catch (error) {
    log.warn({ err: error }, 'the place of the API could not be noted in the data directory')
    return undefined
  }
}

async function openApi(settings: Settings, logger: Logger): Promise<Control | undefined> {
  const { api: place, 'api-token': token, 'api-host': hosts = [] } = settings
  if (place.kind === 'off') return undefined
  const { openControl } = await import('../../control/server.ts')
  return openControl({ place, token, hosts, logger })
}

/** The node, with the services and forwards of the options; when one of them fails, it does not stay up. */
async function start(settings: Settings, logger: Logger, signal: AbortSignal): Promise<WarrenNode> {
  const { createNode } = await import('../../node/create-node.ts')
  const node = await createNode({
    ...nodeOptions(settings),
    dataDir: settings['data-dir'],
    logger,
    signal,
  })
  try {
    for (const service of settings.expose ?? []) node.expose(service)
    for (const forward of settings.forward ?? []) await node.forward(forward)
    signal.throwIfAborted()
  } catch (error) {
    await within(STOP_MS, node.stop({ reason: 'start failed' }), logger)
    throw error
  }
  return node
}

/** Prints what the node is, then what happens to it; resolves when nothing more will. */
async function tell(
  node: WarrenNode,
  settings: Settings,
  control: Control | undefined,
): Promise<void> {
  const events = node.events()[Symbol.asyncIterator]()
  // Asked for before anything is printed, so that the subscription stands and nothing is missed.
  let next = events.next()
  const { addresses, peerId } = node.status()
  const api = control?.address ?? null
  const at = new Date().toISOString()
  if (settings.json) print(JSON.stringify({ type: 'node:ready', at, peerId, addresses, api }))
  else
    print(
      renderWelcome(node.status(), {
        version,
        api,
        dataDir: settings['data-dir'],
        joins: settings.bootstrap ?? [],
      }),
    )
  for (;;) {
    const { done, value } = await next
    if (done) return
    if (value.type !== 'node:ready')
      print(settings.json ? JSON.stringify(value) : renderEvent(value))
    next = events.next()
  }
}

async function stop(
  node: WarrenNode,
  reason: string,
  told: Promise<void>,
  control: Control | undefined,
): Promise<void> {
  await node.stop({ reason })
  await told
  await control?.close()
}

/** Waits for an orderly end, but not for ever: whoever asked for it is waiting too. */
async function within(ms: number, work: Promise<void>, log: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, ms, 'late')
  })
  try {
    const result = await Promise.race([work, late])
    if (result === 'late') log.warn({ ms }, 'the node did not stop in time and is left as it is')
  } catch (error) {
    log.error({ err: error }, 'the node did not stop in order')
  } finally {
    clearTimeout(timer)
  }
}
