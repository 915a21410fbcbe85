// Reads what Warren's peer exchange writes, from its specification alone: no libp2p, no protobuf library.
//
//	peer-exchange vectors FOLDER             checks frames.json and records.json, names what differs, and fails then
//	peer-exchange verdicts NETWORK NOW_MS    judges lines "frame HEX" and "record HEX" of its input, a line each
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "vectors":
		err = checkVectors(args[1])
	case len(args) == 3 && args[0] == "verdicts":
		err = printVerdicts(args[1], args[2])
	default:
		fmt.Fprintln(os.Stderr, "use: peer-exchange vectors FOLDER | verdicts NETWORK NOW_MS")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type frameVectors struct {
	Valid   []struct{ Type, Frame string }
	Invalid []struct{ Name, Fault, Frame string }
}

type recordVectors struct {
	Network string
	NowMs   uint64
	Valid   []struct {
		Name, Envelope, Peer string
		Addresses            int
	}
	Invalid []struct{ Name, Fault, Envelope string }
}

// tally counts what agrees and keeps what does not.
type tally struct {
	agreed int
	differ []string
}

func (t *tally) expect(what, got, wanted string) {
	if got == wanted {
		t.agreed++
		return
	}
	t.differ = append(t.differ, fmt.Sprintf("%s: %s, and not %s", what, got, wanted))
}

func checkVectors(folder string) error {
	var frames frameVectors
	var records recordVectors
	if err := load(filepath.Join(folder, "frames.json"), &frames); err != nil {
		return err
	}
	if err := load(filepath.Join(folder, "records.json"), &records); err != nil {
		return err
	}
	t := &tally{}
	for i, one := range frames.Valid {
		t.expect(fmt.Sprintf("valid frame %d", i), judgeFrameHex(one.Frame), "ok "+one.Type+" "+one.Frame)
	}
	for _, one := range frames.Invalid {
		t.expect("frame of "+one.Name, judgeFrameHex(one.Frame), one.Fault)
	}
	network := networkID(records.Network)
	for _, one := range records.Valid {
		verdict := judgeRecordHex(one.Envelope, network, records.NowMs)
		parts := append(strings.Fields(verdict), "", "", "", "", "")
		t.expect("whom the record of "+one.Name+" is about", parts[1], one.Peer)
		t.expect("the addresses of the record of "+one.Name, parts[4], strconv.Itoa(one.Addresses))
		t.expect("the bytes of the record of "+one.Name, parts[5], one.Envelope)
	}
	for _, one := range records.Invalid {
		t.expect("record of "+one.Name, judgeRecordHex(one.Envelope, network, records.NowMs), one.Fault)
	}
	if len(t.differ) > 0 {
		return fmt.Errorf("%s", strings.Join(t.differ, "\n"))
	}
	fmt.Println(t.agreed)
	return nil
}

func load(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func printVerdicts(network, now string) error {
	nowMs, err := strconv.ParseUint(now, 10, 53)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<23) // frames of far more bytes than are allowed are cases, too
	out := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		word := strings.SplitN(lines.Text(), " ", 2)
		if len(word) == 2 && word[0] == "frame" {
			fmt.Fprintln(out, judgeFrameHex(word[1]))
		} else if len(word) == 2 && word[0] == "record" {
			fmt.Fprintln(out, judgeRecordHex(word[1], networkID(network), nowMs))
		} else {
			return fmt.Errorf("no such line: %s", word[0])
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return out.Flush()
}

// judgeFrameHex gives "ok", the kind and the bytes written anew, or the fault.
func judgeFrameHex(text string) string {
	frame, err := hex.DecodeString(text)
	if err != nil {
		return "no-hex"
	}
	b, of, fault := decodeFrame(frame)
	if fault != "" {
		return fault
	}
	return fmt.Sprintf("ok %s %x", of.name, encodeFrame(b, of))
}

// judgeRecordHex gives "ok", whom it is about, the id, the version's print, how many addresses can be read and the envelope written
// anew, or the fault.
func judgeRecordHex(text string, network, nowMs uint64) string {
	whole, err := hex.DecodeString(text)
	if err != nil {
		return "no-hex"
	}
	rec, key, fault := judgeRecord(whole, network, nowMs)
	if fault != "" {
		return fault
	}
	outer, _, _ := openEnvelope(whole)
	id := peerID(key)
	short := shortID(id)
	again := encodeEnvelope(key, rec.encode(), outer.signature)
	return fmt.Sprintf("ok %s %d %d %d %x", peerText(id), short, fold(short, rec.seq), rec.readable(), again)
}
