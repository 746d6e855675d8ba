package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// maxValues bounds how many values one payload may hold: a record of 64 MiB of nils would take a gigabyte decoded.
const maxValues = 8 << 20

var errShort = errors.New("the payload ends inside a value")

// DecodeMsgpack reads one value into the set of values of package task; text that is not UTF-8 is made so. It is written
// for hostile input: no recursion below task.MaxDepth, no allocation that the payload does not pay for.
func DecodeMsgpack(payload []byte) (any, error) { return decodeMsgpack(payload, keys{}) }

func decodeMsgpack(payload []byte, known keys) (any, error) {
	d := decoder{b: payload, keys: known}
	v, err := d.value(0)
	if err != nil {
		return nil, fmt.Errorf("msgpack at byte %d: %w", d.i, err)
	}
	if d.i != len(payload) {
		return nil, fmt.Errorf("msgpack: %d bytes after the value", len(payload)-d.i)
	}
	return v, nil
}

// eachMsgpack reads a list, of anything else the list of only that, and visits its elements in order; what an error leaves
// out is not visited. A map is valid during its visit only, what it holds for ever: the events of a record need no map each.
func eachMsgpack(payload []byte, known keys, visit func(v any)) error {
	d := decoder{b: payload, keys: known}
	err := d.each(visit)
	if err != nil {
		return fmt.Errorf("msgpack at byte %d: %w", d.i, err)
	}
	if d.i != len(payload) {
		return fmt.Errorf("msgpack: %d bytes after the value", len(payload)-d.i)
	}
	return nil
}

func (d *decoder) each(visit func(v any)) error {
	t, err := d.token()
	if err != nil {
		return err
	}
	if t.kind != kindArray {
		v, err := d.content(t, 0)
		if err == nil {
			visit(v)
		}
		return err
	}
	if t.n > len(d.b)-d.i { // an element has at least one byte
		return errShort
	}
	shared := make(map[string]any, 32)
	for range t.n {
		e, err := d.token()
		if err != nil {
			return err
		}
		var v any = shared
		if e.kind == kindMap && e.n <= (len(d.b)-d.i)/2 {
			clear(shared)
			err = d.fill(shared, e.n, 1)
		} else {
			v, err = d.content(e, 1)
		}
		if err != nil {
			return err
		}
		visit(v)
	}
	return nil
}

type decoder struct {
	b    []byte
	i    int
	n    int // values so far
	keys keys
}

// keys are the names of maps that were seen: the events of a journal have the same ones, and need not keep a copy each.
type keys map[string]string

const (
	maxKeys   = 1000
	maxKeyLen = 64
)

func (k keys) of(b []byte) string {
	if s, ok := k[string(b)]; ok { // this conversion does not allocate
		return s
	}
	s := text(b)
	if len(k) < maxKeys && len(b) <= maxKeyLen {
		k[string(b)] = s
	}
	return s
}

func text(b []byte) string {
	return task.ValidText(string(b))
}

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || len(d.b)-d.i < n {
		return nil, errShort
	}
	b := d.b[d.i : d.i+n]
	d.i += n
	return b, nil
}

func (d *decoder) uint(size int) (uint64, error) {
	b, err := d.take(size)
	if err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	default:
		return binary.BigEndian.Uint64(b), nil
	}
}

// kind of a token.
type kind uint8

const (
	kindScalar kind = iota // its value is in token.v
	kindString
	kindBytes
	kindExt
	kindArray
	kindMap
)

type token struct {
	kind kind
	n    int // bytes or elements that follow
	v    any
}

// token reads one type byte and what belongs to it, but no content and no elements.
func (d *decoder) token() (token, error) {
	b, err := d.take(1)
	if err != nil {
		return token{}, err
	}
	if d.n++; d.n > maxValues {
		return token{}, fmt.Errorf("more than %d values in one record", maxValues)
	}
	switch c := b[0]; {
	case c <= 0x7f:
		return token{v: int64(c)}, nil
	case c <= 0x8f:
		return token{kind: kindMap, n: int(c & 0x0f)}, nil
	case c <= 0x9f:
		return token{kind: kindArray, n: int(c & 0x0f)}, nil
	case c <= 0xbf:
		return token{kind: kindString, n: int(c & 0x1f)}, nil
	case c >= 0xe0:
		return token{v: int64(int8(c))}, nil
	default:
		return d.wide(c)
	}
}

func (d *decoder) wide(c byte) (token, error) {
	sized := func(k kind, size int, extra int) (token, error) {
		n, err := d.uint(size)
		return token{kind: k, n: int(n) + extra}, err
	}
	scalar := func(size int, conv func(uint64) any) (token, error) {
		n, err := d.uint(size)
		return token{v: conv(n)}, err
	}
	switch c {
	case 0xc0:
		return token{}, nil
	case 0xc2, 0xc3:
		return token{v: c == 0xc3}, nil
	case 0xc4, 0xc5, 0xc6:
		return sized(kindBytes, 1<<(c-0xc4), 0)
	case 0xc7, 0xc8, 0xc9: // the type byte counts as content
		return sized(kindExt, 1<<(c-0xc7), 1)
	case 0xca:
		return scalar(4, func(u uint64) any { return float64(math.Float32frombits(uint32(u))) })
	case 0xcb:
		return scalar(8, func(u uint64) any { return math.Float64frombits(u) })
	case 0xcc, 0xcd, 0xce, 0xcf:
		return scalar(1<<(c-0xcc), func(u uint64) any { return task.Normalize(u) })
	case 0xd0:
		return scalar(1, func(u uint64) any { return int64(int8(u)) })
	case 0xd1:
		return scalar(2, func(u uint64) any { return int64(int16(u)) })
	case 0xd2:
		return scalar(4, func(u uint64) any { return int64(int32(u)) })
	case 0xd3:
		return scalar(8, func(u uint64) any { return int64(u) })
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return token{kind: kindExt, n: 1 + 1<<(c-0xd4)}, nil
	case 0xd9, 0xda, 0xdb:
		return sized(kindString, 1<<(c-0xd9), 0)
	case 0xdc, 0xdd:
		return sized(kindArray, 2<<(c-0xdc), 0)
	case 0xde, 0xdf:
		return sized(kindMap, 2<<(c-0xde), 0)
	default:
		return token{}, fmt.Errorf("type byte %#x is not part of msgpack", c)
	}
}

func (d *decoder) value(depth int) (any, error) {
	t, err := d.token()
	if err != nil {
		return nil, err
	}
	return d.content(t, depth)
}

func (d *decoder) content(t token, depth int) (any, error) {
	if depth >= task.MaxDepth && (t.kind == kindArray || t.kind == kindMap) {
		if err := d.skip(t); err != nil {
			return nil, err
		}
		return map[string]any{task.KeyCut: map[string]any{"reason": "depth"}}, nil
	}
	switch t.kind {
	case kindString:
		b, err := d.take(t.n)
		return text(b), err
	case kindBytes:
		b, err := d.take(t.n)
		return append([]byte{}, b...), err
	case kindExt:
		b, err := d.take(t.n)
		if err != nil {
			return nil, err
		}
		return map[string]any{"$object": map[string]any{"type": fmt.Sprintf("msgpack.ext.%d", int8(b[0])), "bytes": int64(t.n - 1)}}, nil
	case kindArray:
		return d.array(t.n, depth)
	case kindMap:
		return d.mapping(t.n, depth)
	default:
		return t.v, nil
	}
}

func (d *decoder) array(n, depth int) (any, error) {
	if n > len(d.b)-d.i { // an element has at least one byte
		return nil, errShort
	}
	out := make([]any, 0, min(n, 4096))
	for range n {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (d *decoder) mapping(n, depth int) (any, error) {
	if n > (len(d.b)-d.i)/2 {
		return nil, errShort
	}
	out := make(map[string]any, min(n, 4096))
	return out, d.fill(out, n, depth)
}

// fill reads the n members of a map into out.
func (d *decoder) fill(out map[string]any, n, depth int) error {
	for range n {
		name, err := d.key(depth + 1)
		if err != nil {
			return err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return err
		}
		out[name] = v
	}
	return nil
}

func (d *decoder) key(depth int) (string, error) {
	t, err := d.token()
	if err != nil {
		return "", err
	}
	if t.kind == kindString {
		b, err := d.take(t.n)
		return d.keys.of(b), err
	}
	k, err := d.content(t, depth)
	return task.JSON(k), err // as every observer writes keys that are not strings
}

// skip passes over the content of an array or map, however deep, without recursion.
func (d *decoder) skip(t token) error {
	children := func(t token) int64 {
		if t.kind == kindMap {
			return 2 * int64(t.n)
		}
		return int64(t.n)
	}
	for pending := children(t); pending > 0; pending-- {
		t, err := d.token()
		if err != nil {
			return err
		}
		switch t.kind {
		case kindArray, kindMap:
			pending += children(t)
		case kindString, kindBytes, kindExt:
			if _, err := d.take(t.n); err != nil {
				return err
			}
		}
	}
	return nil
}
