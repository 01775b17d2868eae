package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// schemaVersion is raised when the meaning of a bucket changes; indexVersion when only the terms change (the index is then rebuilt at Open).
const (
	schemaVersion = "1"
	indexVersion  = "1"
)

// Buckets. Integers are big endian, so byte order is number order.
var (
	bucketMeta  = []byte("meta")  // "schema", "index", "pagekey"
	bucketNames = []byte("names") // "t"+type, "p"+parameter → uint16 number
	bucketIDs   = []byte("ids")   // Type/id → state
	bucketDocs  = []byte("docs")  // document number → sequence of the current version; only living documents
	bucketVers  = []byte("vers")  // sequence → record, appended only: the system history
	bucketTypes = []byte("types") // type number, sequence → version's document: the type history
	bucketHist  = []byte("hist")  // document number, version number → sequence: the instance history
	bucketIdx   = []byte("idx")   // type number, parameter number, term, 0x00, document number → nothing
)

// version is one stored version of a resource. raw is empty for a deletion.
type version struct {
	seq     uint64
	doc     uint64
	number  uint64
	deleted bool
	method  byte
	at      time.Time
	typ     string
	id      string
	raw     []byte
}

// Methods as stored, for Bundle.entry.request of a history.
const (
	methodPost byte = iota + 1
	methodPut
	methodPatch
	methodDelete
)

func methodName(m byte) string {
	switch m {
	case methodPost:
		return "POST"
	case methodPatch:
		return "PATCH"
	case methodDelete:
		return "DELETE"
	default:
		return "PUT"
	}
}

const recordFormat = 1

var errCorrupt = errors.New("stored record is damaged")

// encode: format, flags, method, unix ms, version number, document, type length+type, id length+id, raw JSON ready to send.
func (v *version) encode() []byte {
	b := make([]byte, 0, 3+8*3+2+len(v.typ)+len(v.id)+len(v.raw))
	flags := byte(0)
	if v.deleted {
		flags = 1
	}
	b = append(b, recordFormat, flags, v.method)
	b = binary.BigEndian.AppendUint64(b, uint64(v.at.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, v.number)
	b = binary.BigEndian.AppendUint64(b, v.doc)
	b = append(b, byte(len(v.typ))) //nolint:gosec // a type name
	b = append(b, v.typ...)
	b = append(b, byte(len(v.id))) //nolint:gosec // at most 64 characters
	b = append(b, v.id...)
	return append(b, v.raw...)
}

// decodeVersion's raw aliases b, which is only valid inside the bbolt transaction; callers that keep it copy it.
func decodeVersion(seq uint64, b []byte) (version, error) {
	const fixed = 3 + 8*3
	v := version{seq: seq}
	if len(b) < fixed+2 || b[0] != recordFormat {
		return v, fmt.Errorf("version %d: %w", seq, errCorrupt)
	}
	v.deleted, v.method = b[1]&1 == 1, b[2]
	v.at = time.UnixMilli(int64(binary.BigEndian.Uint64(b[3:]))).UTC() //nolint:gosec // written by us
	v.number, v.doc = binary.BigEndian.Uint64(b[11:]), binary.BigEndian.Uint64(b[19:])
	b = b[fixed:]
	for _, field := range []*string{&v.typ, &v.id} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return v, fmt.Errorf("version %d: %w", seq, errCorrupt)
		}
		*field, b = string(b[1:1+int(b[0])]), b[1+int(b[0]):]
	}
	v.raw = b
	return v, nil
}

func (v *version) etag() string     { return fmt.Sprintf(`W/"%d"`, v.number) }
func (v *version) relative() string { return v.typ + "/" + v.id }
func (v *version) versioned() string {
	return fmt.Sprintf("%s/%s/_history/%d", v.typ, v.id, v.number)
}

// state is the value of `ids`: where the current version of a resource is.
type state struct {
	doc, seq, number uint64
	deleted          bool
}

func (s state) encode() []byte {
	b := make([]byte, 0, 25)
	b = binary.BigEndian.AppendUint64(b, s.doc)
	b = binary.BigEndian.AppendUint64(b, s.seq)
	b = binary.BigEndian.AppendUint64(b, s.number)
	if s.deleted {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeState(b []byte) (state, bool) {
	if len(b) != 25 {
		return state{}, false
	}
	return state{
		doc: binary.BigEndian.Uint64(b), seq: binary.BigEndian.Uint64(b[8:]), number: binary.BigEndian.Uint64(b[16:]), deleted: b[24] == 1,
	}, true
}

func key64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func key64x2(a, b uint64) []byte { return binary.BigEndian.AppendUint64(key64(a), b) }

func typeSeqKey(typ uint16, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(nil, typ), seq)
}

// postingPrefix is type number and parameter number; a posting continues with term, 0x00, document number.
func postingPrefix(typ, param uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, typ), param)
}

// instant is FHIR's instant with milliseconds in UTC: what meta.lastUpdated holds.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
