package main

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
)

// Peers: their ids, the numbers that stand for them, and their addresses (sections 4 and 5).

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// peerID is the identity multihash of the public key.
func peerID(key []byte) []byte {
	return append([]byte{0, 0x24, 8, keyEd25519, 0x12, 0x20}, key...)
}

func peerText(id []byte) string {
	var digits []byte
	number, rest := new(big.Int).SetBytes(id), new(big.Int)
	for number.Sign() > 0 {
		number.DivMod(number, big.NewInt(58), rest)
		digits = append(digits, base58[rest.Int64()])
	}
	for i := 0; i < len(id) && id[i] == 0; i++ {
		digits = append(digits, base58[0])
	}
	for i, j := 0, len(digits)-1; i < j; i, j = i+1, j-1 {
		digits[i], digits[j] = digits[j], digits[i]
	}
	return string(digits)
}

func firstEight(bytes []byte) uint64 {
	sum := sha256.Sum256(bytes)
	return binary.LittleEndian.Uint64(sum[:])
}

// shortID stands for a peer in samples.
func shortID(id []byte) uint64 { return firstEight(id) & max53 }

func networkID(name string) uint64 { return firstEight([]byte(name)) }

// fold stands for one version of a peer's record in a set hash.
func fold(id, seq uint64) uint32 {
	version := mix(mix(uint32(seq)) ^ uint32(seq>>32))
	if print := mix(mix(uint32(id)^version) ^ uint32(id>>32)); print != 0 {
		return print
	}
	return 1
}

func mix(h uint32) uint32 {
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// fixedValues are the components whose value has a length of its own, by code.
var fixedValues = map[uint64]int{
	4: 4, 6: 2, 41: 16, 273: 2,
	280: 0, 281: 0, 290: 0, 448: 0, 454: 0, 460: 0, 461: 0, 465: 0, 477: 0, 478: 0, 480: 0,
}

func isMultiaddr(bytes []byte) bool {
	if len(bytes) == 0 {
		return false
	}
	for len(bytes) > 0 {
		code, rest, ok := shortest(bytes)
		if !ok {
			return false
		}
		length, fixed := fixedValues[code]
		if !fixed {
			said, after, ok := shortest(rest)
			if !ok || said == 0 || said > uint64(len(after)) || !isValue(code, after[:said]) {
				return false
			}
			length, rest = int(said), after
		}
		if length > len(rest) {
			return false
		}
		bytes = rest[length:]
	}
	return true
}

func isValue(code uint64, value []byte) bool {
	switch code {
	case 53, 54, 55, 56, 449: // dns, dns4, dns6, dnsaddr, sni
		for _, char := range value {
			if char <= ' ' || char > '~' || char == '/' {
				return false
			}
		}
		return true
	case 421: // p2p: the key itself, or its SHA-256
		if value[0] == 0 {
			return len(value) > 2 && int(value[1]) == len(value)-2
		}
		return len(value) == 34 && value[0] == 0x12 && value[1] == 0x20
	}
	return code == 466 // certhash
}

// shortest reads a varint of one or two bytes that could not be written in fewer.
func shortest(bytes []byte) (uint64, []byte, bool) {
	if len(bytes) > 0 && bytes[0] < 0x80 {
		return uint64(bytes[0]), bytes[1:], true
	}
	if len(bytes) < 2 || bytes[1] == 0 || bytes[1] >= 0x80 {
		return 0, nil, false
	}
	return uint64(bytes[0]&0x7f) | uint64(bytes[1])<<7, bytes[2:], true
}
