/** Builds what is published: dist/ with JavaScript, types and the status page. */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

/** Folders whose files are served or read as they are. */
const ASSETS = ['src/control/page']

rmSync(dist, { recursive: true, force: true })
execFileSync(join(root, 'node_modules/.bin/tsc'), ['--project', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
for (const folder of ASSETS) {
  cpSync(join(root, folder), join(dist, folder), {
    recursive: true,
    // tsc has written the modules among them.
    filter: (path) => !path.endsWith('.ts'),
  })
}
makeExecutable('src/cli/main.js')
checkEntryPoints()

function makeExecutable(file: string): void {
  const path = join(dist, file)
  if (!readFileSync(path, 'utf8').startsWith('#!')) throw new Error(`${file} has no #! line`)
  chmodSync(path, 0o755)
}

/** Everything package.json promises is there, or publishing it would only fail at the user's. */
function checkEntryPoints(): void {
  const { bin, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    bin: Record<string, string>
    exports: Record<string, string | Record<string, string>>
  }
  const promised = [
    ...Object.values(bin),
    ...Object.values(exports).flatMap((entry) => Object.values(Object(entry))),
  ]
  const missing = promised.filter(
    (path) => String(path).startsWith('./') && !existsSync(join(root, String(path))),
  )
  if (missing.length > 0)
    throw new Error(`package.json names files that the build did not make: ${missing.join(', ')}`)
}
