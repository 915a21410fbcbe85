import assert from 'node:assert/strict'
import { after } from 'node:test'
import transportSuite from '@libp2p/interface-compliance-tests/transport'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { TCP } from '@multiformats/multiaddr-matcher'
import { tcpReuse } from '../../../src/net/tcp-reuse/index.ts'
import { provideMochaGlobals } from '../../support/compliance/mocha.ts'

// The suite of the version in the lock file has this many tests; a newer one may only add to them.
const TESTS_IN_SUITE = 15

const suite = provideMochaGlobals()

// What Warren speaks over TCP. With the suite's own mock muxer "should close all streams when the connection closes"
// fails over stock TCP just the same: the listener answers the closing of streams on a socket that is gone (EPIPE).
const secured = { connectionEncrypters: [noise()], streamMuxers: [yamux()] }

transportSuite({
  setup: async () => ({
    dialAddrs: [multiaddr('/ip4/127.0.0.1/tcp/0'), multiaddr('/ip6/::1/tcp/0')],
    dialMultiaddrMatcher: TCP,
    listenMultiaddrMatcher: TCP,
    // The dialer listens as well: only then do its dials leave from a listening port.
    dialer: {
      ...secured,
      transports: [tcpReuse()],
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    },
    listener: {
      ...secured,
      transports: [tcpReuse()],
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0'] },
    },
  }),
  teardown: async () => {},
})

after(() => {
  assert.ok(
    suite.passed.size >= TESTS_IN_SUITE,
    `${suite.passed.size} tests of the suite ran, ${TESTS_IN_SUITE} were expected`,
  )
})
