#!/usr/bin/env -S node --max-semi-space-size=8
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

// The flag above bounds the garbage that V8 lets gather before it looks at new objects: 67 MB by default, more than 512
// reservations of a relay need.

// Compiled code is kept from run to run: a start costs 0.4 s of processor time instead of 1.2. It only covers what is
// loaded afterwards, hence the import below instead of one above. Where nothing can be written Node does without.
enableCompileCache(join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'warren'))

await import('./run.ts')
