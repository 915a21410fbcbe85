package main

import (
	"bufio"
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
)

// runPeer is a stock hidden peer: it keeps reservations at its relays and punches holes to whom it meets there.
// Its external address needs one observer for punching; announcing it would need four, and is not what it is about.
func runPeer(ctx context.Context, args []string) error {
	flags, port := newFlags("peer")
	var relays relayFlags
	flags.Var(&relays, "relay", "multiaddr of a relay; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := libp2p.New(append(
		onlyTCP(*port),
		libp2p.ForceReachabilityPrivate(),
		// Without these a peer looks for relays half a minute apart, and asks a lost one again after an hour.
		libp2p.EnableAutoRelayWithStaticRelays(
			relays,
			autorelay.WithBootDelay(0),
			autorelay.WithMinInterval(time.Second),
			autorelay.WithBackoff(time.Second),
		),
		libp2p.EnableHolePunching(holepunch.WithTracer(tracer{})),
	)...)
	if err != nil {
		return err
	}
	defer h.Close()
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { sayConnected(c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { sayDisconnected(c) },
	})
	sayReady(h)
	go tellReservations(ctx, h)
	go tellPunchable(ctx, h)
	return obey(ctx, h)
}

// tellReservations asks every relay that autorelay has chosen once more, since autorelay keeps the answer to itself.
func tellReservations(ctx context.Context, h host.Host) {
	updates, err := h.EventBus().Subscribe(new(event.EvtAutoRelayAddrsUpdated))
	if err != nil {
		fail(err)
	}
	defer updates.Close()
	told := map[peer.ID]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case update := <-updates.Out():
			for _, addr := range update.(event.EvtAutoRelayAddrsUpdated).RelayAddrs {
				relay, err := peer.AddrInfoFromString(strings.TrimSuffix(addr.String(), "/p2p-circuit"))
				if err == nil && !told[relay.ID] {
					told[relay.ID] = true
					sayReservation(ctx, h, *relay)
				}
			}
		}
	}
}

func sayReservation(ctx context.Context, h host.Host, relay peer.AddrInfo) {
	reservation, err := client.Reserve(ctx, h, relay)
	if err != nil {
		say("problem", line{"what": "reserving", "error": err.Error()})
		return
	}
	say("reserved", line{
		"relay":          relay.ID.String(),
		"addrs":          texts(reservation.Addrs),
		"expiresSeconds": time.Until(reservation.Expiration).Seconds(),
		"limitSeconds":   reservation.LimitDuration.Seconds(),
		"limitBytes":     reservation.LimitData,
		// Reserve has checked whose voucher it is and for whom.
		"voucher": reservation.Voucher != nil,
	})
}

// tellPunchable says when go-libp2p starts to answer hole punches: once somebody has seen an external address of it.
func tellPunchable(ctx context.Context, h host.Host) {
	updates, err := h.EventBus().Subscribe(new(event.EvtLocalProtocolsUpdated))
	if err != nil {
		fail(err)
	}
	defer updates.Close()
	for !slices.Contains(h.Mux().Protocols(), holepunch.Protocol) {
		select {
		case <-ctx.Done():
			return
		case <-updates.Out():
		}
	}
	say("punchable", line{})
}

func sayConnected(c network.Conn) {
	stat := c.Stat()
	what := line{
		"peer":       c.RemotePeer().String(),
		"direct":     !isRelayed(c.RemoteMultiaddr()),
		"inbound":    stat.Direction == network.DirInbound,
		"limited":    stat.Limited,
		"remoteAddr": c.RemoteMultiaddr().String(),
	}
	if duration, ok := stat.Extra[client.StatLimitDuration].(time.Duration); ok {
		what["limitSeconds"] = duration.Seconds()
	}
	if data, ok := stat.Extra[client.StatLimitData].(uint64); ok {
		what["limitBytes"] = data
	}
	say("connected", what)
}

func sayDisconnected(c network.Conn) {
	say("disconnected", line{"peer": c.RemotePeer().String(), "remoteAddr": c.RemoteMultiaddr().String()})
}

// tracer tells every step of a hole punch in go-libp2p's own words.
type tracer struct{}

func (tracer) Trace(e *holepunch.Event) {
	say("holepunch", line{"peer": e.Remote.String(), "step": e.Type, "detail": e.Evt})
}

// obey carries out the commands on stdin, one after another, until quit, the end of stdin or a signal.
func obey(ctx context.Context, h host.Host) error {
	commands := make(chan string)
	go func() {
		defer close(commands)
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			commands <- scanner.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case text, more := <-commands:
			if !more || text == "quit" {
				return nil
			}
			word, rest, _ := strings.Cut(text, " ")
			answer(ctx, h, word, rest)
		}
	}
}

const commandDeadline = 30 * time.Second

func answer(ctx context.Context, h host.Host, word, rest string) {
	ctx, cancel := context.WithTimeout(ctx, commandDeadline)
	defer cancel()
	result := line{"command": word, "ok": true}
	var err error
	switch word {
	case "connect":
		err = connect(ctx, h, rest)
	case "ping":
		err = ping(ctx, h, rest, result)
	default:
		result["error"], result["ok"] = usage, false
	}
	if err != nil {
		result["error"], result["ok"] = err.Error(), false
	}
	say("answer", result)
}

func connect(ctx context.Context, h host.Host, address string) error {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return err
	}
	return h.Connect(network.WithAllowLimitedConn(ctx, "interop"), *info)
}
