// Command go-peer is a go-libp2p peer for Warren's laboratory: a public relay, or a peer behind a NAT that reserves
// at relays and punches holes. It says what happens as JSON lines on stdout and takes commands on stdin.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

const usage = `go-peer relay [-port N] [-seconds N] [-bytes N] [-private]
go-peer peer  [-port N] -relay MULTIADDR [-relay MULTIADDR]

Commands of a peer on stdin: connect MULTIADDR, ping PEER, quit`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(os.Args) < 2 {
		fail(fmt.Errorf("%s", usage))
	}
	run := map[string]func(context.Context, []string) error{"relay": runRelay, "peer": runPeer}[os.Args[1]]
	if run == nil {
		fail(fmt.Errorf("%s", usage))
	}
	if err := run(ctx, os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// onlyTCP listens on one TCP port of every IPv4 address, with noise and yamux, and on nothing else.
func onlyTCP(port int) []libp2p.Option {
	return []libp2p.Option{
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", port)),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("warren-interop-go"),
	}
}

// relayFlags collects -relay options, each a multiaddr that ends in a peer id.
type relayFlags []peer.AddrInfo

func (relays *relayFlags) String() string { return fmt.Sprint(*relays) }

func (relays *relayFlags) Set(text string) error {
	info, err := peer.AddrInfoFromString(text)
	if err != nil {
		return err
	}
	*relays = append(*relays, *info)
	return nil
}

func newFlags(name string) (*flag.FlagSet, *int) {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	return flags, flags.Int("port", 4001, "TCP port to listen on")
}

// line is what is written to stdout; "type" tells what the rest means.
type line map[string]any

var stdout sync.Mutex

func say(kind string, what line) {
	stdout.Lock()
	defer stdout.Unlock()
	what["type"] = kind
	if err := json.NewEncoder(os.Stdout).Encode(what); err != nil {
		fail(err)
	}
}

func sayReady(h host.Host) {
	say("ready", line{"peerId": h.ID().String(), "addrs": texts(h.Addrs())})
}

func texts(addrs []multiaddr.Multiaddr) []string {
	all := make([]string, 0, len(addrs))
	for _, addr := range addrs {
		all = append(all, addr.String())
	}
	return all
}

func isRelayed(addr multiaddr.Multiaddr) bool {
	return strings.Contains(addr.String(), "/p2p-circuit")
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
