package main

// The frames of section 3. A body is read into a struct and written from it, so that what is not understood shows.

const (
	mostFrame    = 16384
	mostEnvelope = 2048
	mostAddress  = 160
	mostService  = 48
)

type body interface{ write(w *writer) }

type entry struct {
	envelope  []byte
	age       uint64
	firstHand bool
}

type hello struct {
	v, networkID, nowS, caps uint64
	envelope, seenAddr       []byte
}

type helloAck struct {
	envelope, seenAddr []byte
	nowS               uint64
	entries            []entry
}

type sampleReq struct{ max, setHash uint64 }

type sample struct {
	ids, seqLo, groups []uint64
	same               bool
}

type want struct{ ids []uint64 }

type records struct {
	entries []entry
	unknown []uint64
}

type push struct {
	entries []entry
	hops    uint64
}

type find struct {
	peers   [][]byte
	service string
	relay   bool
	hops    uint64
}

type neighbourReq struct{ isolated bool }

type neighbourAck struct {
	verdict, retryS uint64
	entries         []entry
}

type neighbourEnd struct {
	entries []entry
	evicted bool
}

type refusal struct{ code, retryS uint64 }

type kind struct {
	field uint64
	name  string
	read  func(r *reader) body
}

var kinds = []kind{
	{1, "hello", readHello},
	{2, "helloAck", readHelloAck},
	{3, "sampleReq", readSampleReq},
	{4, "sample", readSample},
	{5, "want", readWant},
	{6, "records", readRecords},
	{7, "neighbourReq", readNeighbourReq},
	{8, "neighbourAck", readNeighbourAck},
	{9, "neighbourEnd", readNeighbourEnd},
	{14, "push", readPush},
	{17, "find", readFind},
	{20, "err", readRefusal},
}

// decodeFrame gives the body and its kind, or the fault that the specification names.
func decodeFrame(bytes []byte) (body, kind, string) {
	if len(bytes) > mostFrame {
		return nil, kind{}, "frame-too-large"
	}
	found := map[uint64]body{}
	var of kind
	r := &reader{rest: bytes}
	for field, more := r.next(); more; field, more = r.next() {
		known := false
		for _, one := range kinds {
			if one.field != field {
				continue
			}
			inner := &reader{rest: r.bytes(mostFrame)}
			found[field], of, known = one.read(inner), one, true
			if inner.err != nil {
				r.fail()
			}
		}
		if !known {
			r.skip()
		}
	}
	switch {
	case r.err != nil:
		return nil, kind{}, "frame-malformed"
	case len(found) == 0:
		return nil, kind{}, "frame-empty"
	case len(found) > 1:
		return nil, kind{}, "frame-ambiguous"
	}
	if s, ok := found[of.field].(*sample); ok && !s.isParallel() {
		return nil, kind{}, "lists-differ"
	}
	return found[of.field], of, ""
}

func encodeFrame(b body, of kind) []byte {
	var inner, whole writer
	b.write(&inner)
	whole.item(of.field, inner)
	return whole
}

// each calls `take` for every field of a message; false from it means that the field is not known.
func each(r *reader, take func(field uint64) bool) {
	for field, more := r.next(); more; field, more = r.next() {
		if !take(field) {
			r.skip()
		}
	}
}

func readEntries(r *reader, before []entry, most int) []entry {
	var one entry
	inner := &reader{rest: r.bytes(mostFrame)}
	each(inner, func(field uint64) bool {
		switch field {
		case 1:
			one.envelope = inner.bytes(mostEnvelope)
		case 2:
			one.age = inner.number(max32)
		case 3:
			one.firstHand = inner.flag()
		default:
			return false
		}
		return true
	})
	if inner.err != nil || !r.room(len(before), most) {
		r.fail()
	}
	return append(before, one)
}

func writeEntries(w *writer, field uint64, entries []entry) {
	for _, one := range entries {
		var inner writer
		inner.bytes(1, one.envelope)
		inner.number(2, one.age)
		inner.flag(3, one.firstHand)
		w.item(field, inner)
	}
}

func readHello(r *reader) body {
	b := &hello{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.v = r.number(max32)
		case 2:
			b.networkID = r.fixed64()
		case 3:
			b.envelope = r.bytes(mostEnvelope)
		case 4:
			b.nowS = r.number(max53)
		case 5:
			b.caps = r.number(max32)
		case 6:
			b.seenAddr = r.bytes(mostAddress)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *hello) write(w *writer) {
	w.number(1, b.v)
	w.fixed64(2, b.networkID)
	w.bytes(3, b.envelope)
	w.number(4, b.nowS)
	w.number(5, b.caps)
	w.bytes(6, b.seenAddr)
}

func readHelloAck(r *reader) body {
	b := &helloAck{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.envelope = r.bytes(mostEnvelope)
		case 2:
			b.nowS = r.number(max53)
		case 3:
			b.seenAddr = r.bytes(mostAddress)
		case 4:
			b.entries = readEntries(r, b.entries, 8)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *helloAck) write(w *writer) {
	w.bytes(1, b.envelope)
	w.number(2, b.nowS)
	w.bytes(3, b.seenAddr)
	writeEntries(w, 4, b.entries)
}

func readSampleReq(r *reader) body {
	b := &sampleReq{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.max = r.number(max32)
		case 2:
			b.setHash = r.number(max32)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *sampleReq) write(w *writer) {
	w.number(1, b.max)
	w.number(2, b.setHash)
}

func readSample(r *reader) body {
	b := &sample{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.ids = r.numbers(b.ids, 256, max53)
		case 2:
			b.seqLo = r.numbers(b.seqLo, 256, max32)
		case 3:
			b.same = r.flag()
		case 5:
			b.groups = r.numbers(b.groups, 256, max32)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *sample) write(w *writer) {
	w.numbers(1, b.ids)
	w.numbers(2, b.seqLo)
	w.flag(3, b.same)
	w.numbers(5, b.groups)
}

// Groups may be left out altogether.
func (b *sample) isParallel() bool {
	groups := len(b.groups)
	return len(b.ids) == len(b.seqLo) && (groups == 0 || groups == len(b.ids))
}

func readWant(r *reader) body {
	b := &want{}
	each(r, func(field uint64) bool {
		if field == 1 {
			b.ids = r.numbers(b.ids, 64, max53)
		}
		return field == 1
	})
	return b
}

func (b *want) write(w *writer) { w.numbers(1, b.ids) }

func readRecords(r *reader) body {
	b := &records{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.entries = readEntries(r, b.entries, 64)
		case 2:
			b.unknown = r.numbers(b.unknown, 64, max53)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *records) write(w *writer) {
	writeEntries(w, 1, b.entries)
	w.numbers(2, b.unknown)
}

func readPush(r *reader) body {
	b := &push{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.entries = readEntries(r, b.entries, 16)
		case 2:
			b.hops = r.number(max32)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *push) write(w *writer) {
	writeEntries(w, 1, b.entries)
	w.number(2, b.hops)
}

func readFind(r *reader) body {
	b := &find{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			peer := r.bytes(64)
			if r.room(len(b.peers), 8) {
				b.peers = append(b.peers, peer)
			}
		case 2:
			b.service = r.text(mostService)
		case 3:
			b.relay = r.flag()
		case 4:
			b.hops = r.number(max32)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *find) write(w *writer) {
	for _, peer := range b.peers {
		w.item(1, peer)
	}
	w.bytes(2, []byte(b.service))
	w.flag(3, b.relay)
	w.number(4, b.hops)
}

func readNeighbourReq(r *reader) body {
	b := &neighbourReq{}
	each(r, func(field uint64) bool {
		if field == 1 {
			b.isolated = r.flag()
		}
		return field == 1
	})
	return b
}

func (b *neighbourReq) write(w *writer) { w.flag(1, b.isolated) }

func readNeighbourAck(r *reader) body {
	b := &neighbourAck{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.verdict = r.choice(5)
		case 2:
			b.retryS = r.number(max32)
		case 3:
			b.entries = readEntries(r, b.entries, 4)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *neighbourAck) write(w *writer) {
	w.number(1, b.verdict)
	w.number(2, b.retryS)
	writeEntries(w, 3, b.entries)
}

func readNeighbourEnd(r *reader) body {
	b := &neighbourEnd{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.entries = readEntries(r, b.entries, 4)
		case 2:
			b.evicted = r.flag()
		default:
			return false
		}
		return true
	})
	return b
}

func (b *neighbourEnd) write(w *writer) {
	writeEntries(w, 1, b.entries)
	w.flag(2, b.evicted)
}

func readRefusal(r *reader) body {
	b := &refusal{}
	each(r, func(field uint64) bool {
		switch field {
		case 1:
			b.code = r.number(max32)
		case 2:
			b.retryS = r.number(max32)
		default:
			return false
		}
		return true
	})
	return b
}

func (b *refusal) write(w *writer) {
	w.number(1, b.code)
	w.number(2, b.retryS)
}
