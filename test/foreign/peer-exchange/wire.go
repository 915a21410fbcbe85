package main

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// Protobuf below the messages, for bytes from strangers (section 2 of the specification).

var errMalformed = errors.New("malformed")

// The wire types of proto3, and the largest numbers a field may hold.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireLength  = 2
	wireFixed32 = 5

	max32 = 1<<32 - 1
	max53 = 1<<53 - 1
)

// reader takes one message apart, field by field. The first thing that is wrong ends it.
type reader struct {
	rest []byte
	wire uint64
	err  error
}

func (r *reader) fail() {
	r.err = errMalformed
	r.rest = nil
}

// next gives the number of the next field, or false at the end.
func (r *reader) next() (uint64, bool) {
	if r.err != nil || len(r.rest) == 0 {
		return 0, false
	}
	tag := r.uvarint(max32)
	r.wire = tag & 7
	if tag>>3 == 0 {
		r.fail()
	}
	return tag >> 3, r.err == nil
}

// uvarint reads a number of at most ten bytes. Bytes that add nothing are allowed, bits above `most` are not.
func (r *reader) uvarint(most uint64) uint64 {
	var value uint64
	for i := 0; i < 10 && i < len(r.rest); i++ {
		bits := uint64(r.rest[i] & 0x7f)
		if bits != 0 && (7*i >= 64 || bits<<(7*i)>>(7*i) != bits) {
			break
		}
		value |= bits << (7 * i)
		if value > most {
			break
		}
		if r.rest[i] < 0x80 {
			r.rest = r.rest[i+1:]
			return value
		}
	}
	r.fail()
	return 0
}

func (r *reader) take(length uint64) []byte {
	if length > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	taken := r.rest[:length]
	r.rest = r.rest[length:]
	return taken
}

// is ends the message when a known field comes as another wire type than its own.
func (r *reader) is(wire uint64) bool {
	if r.wire != wire {
		r.fail()
	}
	return r.err == nil
}

func (r *reader) number(most uint64) uint64 {
	if !r.is(wireVarint) {
		return 0
	}
	return r.uvarint(most)
}

func (r *reader) flag() bool { return r.number(max32) != 0 }

// choice reads an enum of `count` values; what a later version added is "unknown", which is 0.
func (r *reader) choice(count uint64) uint64 {
	if value := r.number(max32); value < count {
		return value
	}
	return 0
}

func (r *reader) fixed64() uint64 {
	if !r.is(wireFixed64) {
		return 0
	}
	bytes := r.take(8)
	if r.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(bytes)
}

func (r *reader) bytes(most int) []byte {
	if !r.is(wireLength) {
		return nil
	}
	length := r.uvarint(max53)
	if length > uint64(most) {
		r.fail()
	}
	return r.take(length)
}

func (r *reader) text(most int) string {
	bytes := r.bytes(most)
	if !utf8.Valid(bytes) {
		r.fail()
	}
	return string(bytes)
}

// room ends the message when a list is full already.
func (r *reader) room(length, most int) bool {
	if length >= most {
		r.fail()
	}
	return r.err == nil
}

// numbers adds to a list that comes packed, or one number a field.
func (r *reader) numbers(list []uint64, count int, most uint64) []uint64 {
	packed := &reader{rest: r.rest, wire: wireVarint}
	if r.wire == wireLength {
		packed.rest = r.bytes(len(r.rest))
	} else if r.is(wireVarint) {
		return append(list, oneNumber(r, len(list), count, most)...)
	}
	for r.err == nil && len(packed.rest) > 0 {
		list = append(list, oneNumber(packed, len(list), count, most)...)
		if packed.err != nil {
			r.fail()
		}
	}
	return list
}

func oneNumber(r *reader, length, count int, most uint64) []uint64 {
	value := r.uvarint(most)
	if !r.room(length, count) {
		return nil
	}
	return []uint64{value}
}

// skip passes over a field that is not known. Groups have never been part of proto3.
func (r *reader) skip() {
	switch r.wire {
	case wireVarint:
		for i := 0; i < 10 && i < len(r.rest); i++ {
			if r.rest[i] < 0x80 {
				r.rest = r.rest[i+1:]
				return
			}
		}
		r.fail()
	case wireFixed64:
		r.take(8)
	case wireLength:
		r.take(r.uvarint(max53))
	case wireFixed32:
		r.take(4)
	default:
		r.fail()
	}
}

// writer puts a message together. Fields with their default are left out, as proto3 wants it.
type writer []byte

func (w *writer) uvarint(value uint64) {
	for ; value >= 0x80; value >>= 7 {
		*w = append(*w, byte(value)|0x80)
	}
	*w = append(*w, byte(value))
}

func (w *writer) tag(field, wire uint64) { w.uvarint(field<<3 | wire) }

func (w *writer) number(field, value uint64) {
	if value != 0 {
		w.tag(field, wireVarint)
		w.uvarint(value)
	}
}

func (w *writer) flag(field uint64, value bool) {
	if value {
		w.number(field, 1)
	}
}

func (w *writer) fixed64(field, value uint64) {
	if value != 0 {
		w.tag(field, wireFixed64)
		bytes := make([]byte, 8)
		binary.LittleEndian.PutUint64(bytes, value)
		*w = append(*w, bytes...)
	}
}

// item writes bytes even when there are none: an element of a list, or a message that is there.
func (w *writer) item(field uint64, bytes []byte) {
	w.tag(field, wireLength)
	w.uvarint(uint64(len(bytes)))
	*w = append(*w, bytes...)
}

func (w *writer) bytes(field uint64, bytes []byte) {
	if len(bytes) > 0 {
		w.item(field, bytes)
	}
}

func (w *writer) numbers(field uint64, list []uint64) {
	var packed writer
	for _, value := range list {
		packed.uvarint(value)
	}
	w.bytes(field, packed)
}
