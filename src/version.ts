import { readFileSync } from 'node:fs'

/** From a clone this file is src/version.ts, in the package dist/src/version.js. */
function packageFile(): URL {
  const depth = import.meta.url.endsWith('.ts') ? '..' : '../..'
  return new URL(`${depth}/package.json`, import.meta.url)
}

/** The version of this package. */
export const version = (JSON.parse(readFileSync(packageFile(), 'utf8')) as { version: string })
  .version
