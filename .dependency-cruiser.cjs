/**
 * Which way imports may point: cli → client ⇢ HTTP ⇢ control → node → drivers → protocols → kernel.
 * `test/unit/bounds.test.ts` plants one violation of every rule and checks that it is caught.
 *
 * WARREN_BOUNDS_ROOT lets that test run these rules over a tree of its own.
 */
const root = process.env.WARREN_BOUNDS_ROOT ?? ''
const at = (path) => `^${root}${path}`
const within = (...folders) => at(`(${folders.join('|')})/`)

module.exports = {
  forbidden: [
    {
      name: 'no-unresolvable',
      comment: 'an import that does not resolve would slip past every other rule',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'kernel-imports-nothing',
      severity: 'error',
      from: { path: within('protocols/kernel') },
      to: { pathNot: within('protocols/kernel') },
    },
    {
      name: 'protocols-decide',
      comment: 'a protocol knows itself and the kernel; no node:*, no packages, no src',
      severity: 'error',
      from: {
        path: at('protocols/([^/]+)/'),
        pathNot: within('protocols/kernel', 'protocols/membership', 'protocols/overlay'),
      },
      to: { pathNot: [at('protocols/$1/'), within('protocols/kernel')] },
    },
    {
      name: 'membership-builds-on-peer-exchange',
      comment: 'whom to be neighbours with is chosen from what peer exchange knows',
      severity: 'error',
      from: { path: within('protocols/membership') },
      to: {
        pathNot: within('protocols/membership', 'protocols/peer-exchange', 'protocols/kernel'),
      },
    },
    {
      name: 'overlay-joins-the-two',
      severity: 'error',
      from: { path: within('protocols/overlay') },
      to: {
        pathNot: within(
          'protocols/overlay',
          'protocols/membership',
          'protocols/peer-exchange',
          'protocols/kernel',
        ),
      },
    },
    {
      name: 'net-and-storage-are-plumbing',
      severity: 'error',
      from: { path: within('src/net', 'src/storage') },
      to: {
        path: within(
          'src/node',
          'src/drivers',
          'src/control',
          'src/client',
          'src/cli',
          'src/config',
        ),
      },
    },
    {
      name: 'drivers-carry-out',
      severity: 'error',
      from: { path: within('src/drivers') },
      to: { path: within('src/node', 'src/control', 'src/client', 'src/cli', 'src/config') },
    },
    {
      name: 'observe-is-told',
      severity: 'error',
      from: { path: within('src/observe') },
      to: {
        path: within('src/node', 'src/drivers', 'src/net', 'src/control', 'src/client', 'src/cli'),
      },
    },
    {
      name: 'node-knows-no-control',
      severity: 'error',
      from: { path: within('src/node') },
      to: { path: within('src/control', 'src/client', 'src/cli') },
    },
    {
      name: 'control-serves-the-node',
      comment: 'the API sees the node, never libp2p, sockets or the machines',
      severity: 'error',
      from: { path: within('src/control') },
      to: {
        path: [
          within('src/cli', 'src/client', 'src/net', 'src/drivers'),
          'node_modules/(libp2p|@libp2p)/',
        ],
      },
    },
    {
      name: 'client-speaks-http',
      severity: 'error',
      from: { path: within('src/client') },
      to: {
        path: within('src/node', 'src/drivers', 'src/net', 'src/storage', 'src/cli', 'protocols'),
      },
    },
    {
      name: 'cli-uses-the-client',
      comment: 'only `up` and `id` may touch the node itself',
      severity: 'error',
      from: {
        path: within('src/cli'),
        pathNot: at('src/cli/commands/(up|id|ticket|doctor)[.]ts$'),
      },
      to: { path: within('src/node', 'src/drivers', 'src/net', 'src/storage', 'protocols') },
    },
    {
      name: 'nothing-imports-test',
      severity: 'error',
      from: { path: within('src', 'protocols') },
      to: { path: within('test', 'examples', 'tools') },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.js', '.d.ts'],
    },
  },
}
