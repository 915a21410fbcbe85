package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pping "github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// ping makes one round trip on the connection that go-libp2p prefers now, and tells which one that was.
func ping(ctx context.Context, h host.Host, id string, result line) error {
	target, err := peer.Decode(id)
	if err != nil {
		return err
	}
	ctx = network.WithNoDial(network.WithAllowLimitedConn(ctx, "interop"), "interop")
	stream, err := h.NewStream(ctx, target, libp2pping.ID)
	if err != nil {
		return err
	}
	defer stream.Close()
	deadline, _ := ctx.Deadline()
	if err := stream.SetDeadline(deadline); err != nil {
		return err
	}
	sent, got := make([]byte, libp2pping.PingSize), make([]byte, libp2pping.PingSize)
	rand.Read(sent)
	began := time.Now()
	if _, err := stream.Write(sent); err != nil {
		return err
	}
	if _, err := io.ReadFull(stream, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("the echo of a ping to %s was changed", id)
	}
	result["rttMs"] = millis(time.Since(began))
	result["remoteAddr"] = stream.Conn().RemoteMultiaddr().String()
	return nil
}
