/** What a machine needs to play Warren against other implementations. */
import { attempt } from '../lab/command.ts'
import { requirements as labRequirements } from '../lab/requirements.ts'
import { missingGo } from './go-build.ts'

/** One sentence for everything that is missing to play cells; empty when all can run here. */
export async function requirements(): Promise<string[]> {
  return [...(await labRequirements()), ...(await missingGo())]
}

/** The same for libp2p's own harnesses. */
export async function harnessRequirements(): Promise<string[]> {
  return [...(await requirements()), ...(await missingRedis())]
}

async function missingRedis(): Promise<string[]> {
  const missing: string[] = []
  for (const [program, debianPackage] of [
    ['redis-server', 'redis-server'],
    ['redis-cli', 'redis-tools'],
  ] as const) {
    const { code } = await attempt([program, '--version']).catch(() => ({ code: 127 }))
    if (code !== 0)
      missing.push(`The program ${program} is missing (Debian package ${debianPackage}).`)
  }
  return missing
}
