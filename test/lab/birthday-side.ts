/** One side of a birthday search, on a host of the laboratory: takes one JSON line on stdin, answers with JSON lines. */
import { once } from 'node:events'
import { BoundSocket, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { knock, probe } from '../../src/net/port-search/index.ts'

export interface ProbeSide {
  do: 'probe'
  from: number
  host: string
  ports: number[]
  perSecond: number
  inFlight: number
}

export interface KnockSide {
  do: 'knock'
  host: string
  port: number
  sockets: number
  perSecond: number
  patienceMs: number
  refusedPauseMs: number
}

/** What the probing side says when its stdin ends. */
export interface ProbeReport {
  sent: number
  /** From the first SYN until the last was sent. */
  sendingMs: number
  /** Connections that reached the listener. */
  accepted: number
  /** Connections in which both sides were connecting. */
  simultaneous: number
}

/** What the opening side says at the end. */
export interface KnockReport {
  opened: number
  /** From the first socket to the first that connected; null when none did. */
  connectedMs: number | null
  /** Until a byte had come back over it. */
  echoedMs: number | null
}

const ECHO_MS = 5000

function echo(socket: Socket): void {
  socket.on('error', () => {})
  socket.pipe(socket)
}

async function playProbe({ from, ...request }: ProbeSide, over: AbortSignal): Promise<ProbeReport> {
  const report: ProbeReport = { sent: 0, sendingMs: 0, accepted: 0, simultaneous: 0 }
  const server = createServer((socket) => {
    report.accepted++
    echo(socket)
  })
  server.listen(new BoundSocket({ host: '0.0.0.0', port: from, reusePort: true }))
  await once(server, 'listening')
  say({ listening: true })
  await begin
  const began = performance.now()
  const { sent } = await probe({
    ...request,
    from: { family: 4, host: '0.0.0.0', port: from },
    lingerMs: 10_000,
    signal: over,
    ports: timed(request.ports, (ms) => (report.sendingMs = ms), began),
    onConnect: (socket) => {
      report.simultaneous++
      echo(socket)
    },
  })
  if (!over.aborted) await once(over, 'abort')
  return { ...report, sent }
}

function* timed(ports: number[], took: (ms: number) => void, began: number): Generator<number> {
  yield* ports
  took(performance.now() - began)
}

async function playKnock(request: KnockSide, signal: AbortSignal): Promise<KnockReport> {
  await begin
  const began = performance.now()
  const { socket, opened } = await knock({ ...request, signal })
  const connectedMs = socket === undefined ? null : performance.now() - began
  let echoedMs: number | null = null
  if (socket !== undefined) {
    socket.write('x')
    if (await echoes(socket)) echoedMs = performance.now() - began
    socket.destroy()
  }
  return { opened, connectedMs, echoedMs }
}

/** Whether a byte comes back before the other side ends the connection. */
async function echoes(socket: Socket): Promise<boolean> {
  const signal = AbortSignal.timeout(ECHO_MS)
  const came = once(socket, 'data', { signal }).then(() => true)
  const ended = once(socket, 'end', { signal }).then(() => false)
  return await Promise.race([came, ended]).catch(() => false)
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

// The first line is the task, the second starts it, the end of stdin ends it.
const input = createInterface({ input: process.stdin })
const over = new AbortController()
input.on('close', () => over.abort())
const [task] = (await once(input, 'line')) as [string]
const begin = once(input, 'line')
const request = JSON.parse(task) as ProbeSide | KnockSide
if (request.do === 'probe') say(await playProbe(request, over.signal))
else {
  say({ listening: false })
  say(await playKnock(request, over.signal))
}
process.exit(0)
