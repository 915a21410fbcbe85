package main

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/multiformats/go-multiaddr"
)

// runRelay serves as a public relay with the limits given.
func runRelay(ctx context.Context, args []string) error {
	flags, port := newFlags("relay")
	seconds := flags.Int("seconds", 120, "how long a circuit may live; 0 means no limits at all")
	bytes := flags.Int64("bytes", 1<<17, "what a circuit may carry in each direction")
	private := flags.Bool("private", false, "vouch for private addresses too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	resources := relay.DefaultResources()
	resources.Limit = &relay.RelayLimit{Duration: time.Duration(*seconds) * time.Second, Data: *bytes}
	if *seconds == 0 {
		resources.Limit = nil
	}
	options := []relay.Option{relay.WithResources(resources)}
	if *private {
		all := func(multiaddr.Multiaddr) bool { return true }
		options = append(options, relay.WithReservationAddressFilter(all))
	}
	h, err := libp2p.New(append(
		onlyTCP(*port),
		libp2p.EnableRelayService(options...),
		// The relay service starts only where the host is known to be public.
		libp2p.ForceReachabilityPublic(),
	)...)
	if err != nil {
		return err
	}
	defer h.Close()
	sayReady(h)
	<-ctx.Done()
	return nil
}
