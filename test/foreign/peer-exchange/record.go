package main

import (
	"bytes"
	"crypto/ed25519"
	"unicode/utf8"
)

// Records: the envelope, its payload, and whether they may be believed (section 4).

const domain = "warren-peer-record"

var payloadType = []byte{0x81, 0x80, 0xc0, 0x01}

const (
	keyEd25519 = 1
	leastTTL   = 60
	mostTTL    = 21600
	skewMs     = 600000
)

type address struct {
	multiaddr []byte
	flags     uint64
}

type relayOffer struct {
	total, free uint64
	unlimited   bool
}

type record struct {
	v, seq, issuedAt, ttlS, networkID, roles uint64
	reachability, mapping, filtering         uint64
	addresses                                []address
	relay                                    *relayOffer
	leaving                                  bool
	services                                 []string
	ext                                      []byte
}

// envelope is what RFC 0002 of libp2p puts around a payload.
type envelope struct{ key, kind, payload, signature []byte }

// judgeRecord makes every check in the order of the specification. It gives the record and the key of its subject, or
// the first fault.
func judgeRecord(bytes []byte, networkID, nowMs uint64) (*record, []byte, string) {
	outer, key, fault := openEnvelope(bytes)
	if fault != "" {
		return nil, nil, fault
	}
	rec, fault := readRecord(outer.payload)
	if fault != "" {
		return nil, nil, fault
	}
	if !ed25519.Verify(key, signedBytes(outer.payload), outer.signature) {
		return nil, nil, "signature-invalid"
	}
	if fault = rec.judge(networkID, nowMs); fault != "" {
		return nil, nil, fault
	}
	return rec, key, ""
}

func openEnvelope(whole []byte) (envelope, []byte, string) {
	var e envelope
	if len(whole) > mostEnvelope {
		return e, nil, "envelope-too-large"
	}
	r := &reader{rest: whole}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			e.key = r.bytes(mostEnvelope)
		case 2:
			e.kind = r.bytes(16)
		case 3:
			e.payload = r.bytes(mostEnvelope)
		case 5:
			e.signature = r.bytes(128)
		default:
			return false
		}
		return true
	})
	if r.err != nil {
		return e, nil, "envelope-malformed"
	}
	if !bytes.Equal(e.kind, payloadType) {
		return e, nil, "payload-type-wrong"
	}
	key := readKey(e.key)
	if key == nil {
		return e, nil, "key-unsupported"
	}
	if len(e.signature) != ed25519.SignatureSize {
		return e, nil, "envelope-malformed"
	}
	return e, key, ""
}

// readKey gives the 32 bytes of an Ed25519 key, or nothing for any other.
func readKey(whole []byte) []byte {
	var kind uint64
	var data []byte
	r := &reader{rest: whole}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			kind = r.number(max32)
		case 2:
			data = r.bytes(mostEnvelope)
		default:
			return false
		}
		return true
	})
	if r.err != nil || kind != keyEd25519 || len(data) != ed25519.PublicKeySize {
		return nil
	}
	return data
}

// signedBytes are domain, payload type and payload, each after its length.
func signedBytes(payload []byte) []byte {
	var signed writer
	for _, part := range [][]byte{[]byte(domain), payloadType, payload} {
		signed.uvarint(uint64(len(part)))
		signed = append(signed, part...)
	}
	return signed
}

func readRecord(payload []byte) (*record, string) {
	rec := &record{}
	r := &reader{rest: payload}
	each(r, func(field uint64) bool { return rec.take(r, field) })
	if r.err != nil {
		return nil, "record-malformed"
	}
	if rec.v != 1 {
		return nil, "version-unsupported"
	}
	for _, service := range rec.services {
		if !isServiceName(service) {
			return nil, "service-malformed"
		}
	}
	return rec, ""
}

// readable counts the addresses of components that are known here; the others are left out by readers.
func (rec *record) readable() int {
	count := 0
	for _, one := range rec.addresses {
		if isMultiaddr(one.multiaddr) {
			count++
		}
	}
	return count
}

func (rec *record) take(r *reader, field uint64) bool {
	switch field {
	case 1:
		rec.v = r.number(max32)
	case 2:
		rec.seq = r.number(max53)
	case 3:
		rec.takeAddress(r)
	case 4:
		rec.issuedAt = r.number(max53)
	case 5:
		rec.ttlS = r.number(max32)
	case 6:
		rec.reachability = r.choice(3)
	case 7:
		rec.mapping = r.choice(5)
	case 8:
		rec.filtering = r.choice(5)
	case 9:
		rec.networkID = r.fixed64()
	case 11:
		rec.roles = r.number(max32)
	case 12:
		rec.takeRelay(r)
	case 13:
		rec.leaving = r.flag()
	case 14:
		service := r.text(mostService)
		if r.room(len(rec.services), 16) {
			rec.services = append(rec.services, service)
		}
	case 15:
		rec.ext = r.bytes(128)
	default:
		return false
	}
	return true
}

func (rec *record) takeAddress(r *reader) {
	var one address
	inner := &reader{rest: r.bytes(mostEnvelope)}
	each(inner, func(field uint64) bool {
		switch field {
		case 1:
			one.multiaddr = inner.bytes(mostAddress)
		case 2:
			one.flags = inner.number(max32)
		default:
			return false
		}
		return true
	})
	if inner.err != nil || !r.room(len(rec.addresses), 8) {
		r.fail()
	}
	rec.addresses = append(rec.addresses, one)
}

func (rec *record) takeRelay(r *reader) {
	offer := &relayOffer{}
	inner := &reader{rest: r.bytes(mostEnvelope)}
	each(inner, func(field uint64) bool {
		switch field {
		case 1:
			offer.total = inner.number(max32)
		case 2:
			offer.free = inner.number(max32)
		case 4:
			offer.unlimited = inner.flag()
		default:
			return false
		}
		return true
	})
	if inner.err != nil {
		r.fail()
	}
	rec.relay = offer
}

func (rec *record) judge(networkID, nowMs uint64) string {
	issuedMs := float64(rec.issuedAt) * 1000 // above 2^53 the last digits do not matter
	now := float64(nowMs)
	begins := issuedMs
	if begins > now {
		begins = now
	}
	switch {
	case rec.networkID != networkID:
		return "network-different"
	case rec.seq == 0:
		return "seq-zero"
	case rec.ttlS < leastTTL || rec.ttlS > mostTTL:
		return "ttl-out-of-range"
	case issuedMs > now+skewMs:
		return "issued-in-future"
	case begins+float64(rec.ttlS)*1000+skewMs <= now:
		return "expired"
	}
	return ""
}

func (rec *record) encode() []byte {
	var w writer
	w.number(1, rec.v)
	w.number(2, rec.seq)
	for _, one := range rec.addresses {
		var inner writer
		inner.bytes(1, one.multiaddr)
		inner.number(2, one.flags)
		w.item(3, inner)
	}
	w.number(4, rec.issuedAt)
	w.number(5, rec.ttlS)
	w.number(6, rec.reachability)
	w.number(7, rec.mapping)
	w.number(8, rec.filtering)
	w.fixed64(9, rec.networkID)
	w.number(11, rec.roles)
	if rec.relay != nil {
		var inner writer
		inner.number(1, rec.relay.total)
		inner.number(2, rec.relay.free)
		inner.flag(4, rec.relay.unlimited)
		w.item(12, inner)
	}
	w.flag(13, rec.leaving)
	for _, service := range rec.services {
		w.item(14, []byte(service))
	}
	w.bytes(15, rec.ext)
	return w
}

// encodeEnvelope writes an envelope anew from its parts.
func encodeEnvelope(key, payload, signature []byte) []byte {
	var publicKey, whole writer
	publicKey.number(1, keyEd25519)
	publicKey.bytes(2, key)
	whole.bytes(1, publicKey)
	whole.bytes(2, payloadType)
	whole.bytes(3, payload)
	whole.bytes(5, signature)
	return whole
}

// unprintable are the characters that no service name has: controls, invisible ones, those that turn text around.
var unprintable = [][2]rune{
	{0, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x61c, 0x61c}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
	{0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
}

func isServiceName(name string) bool {
	for _, char := range name {
		for _, between := range unprintable {
			if char >= between[0] && char <= between[1] {
				return false
			}
		}
	}
	return len(name) > 0 && len(name) <= mostService && utf8.ValidString(name)
}
