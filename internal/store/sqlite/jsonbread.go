package sqlite

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// What jsonb.go writes is read here, so that many leaves of a task cost one walk over its objects, where json_extract
// would walk once a leaf.

// element is one JSONB element and what follows it.
func element(data []byte) (kind byte, payload, rest []byte, err error) {
	if len(data) == 0 {
		return 0, nil, nil, errBadLeaves
	}
	kind = data[0] & 15
	size, at := uint64(data[0]>>4), 1
	if size > 11 {
		n := 1 << (size - 12) // bytes of the size
		if len(data) < 1+n {
			return 0, nil, nil, errBadLeaves
		}
		at = 1 + n
		switch n {
		case 1:
			size = uint64(data[1])
		case 2:
			size = uint64(binary.BigEndian.Uint16(data[1:]))
		case 4:
			size = uint64(binary.BigEndian.Uint32(data[1:]))
		default:
			size = binary.BigEndian.Uint64(data[1:])
		}
	}
	if size > uint64(len(data)-at) {
		return 0, nil, nil, errBadLeaves
	}
	end := at + int(size) //nolint:gosec // no more than there is
	return kind, data[at:end], data[end:], nil
}

var errBadLeaves = fmt.Errorf("its stored leaves are damaged")

// eachLeaf calls f for the leaves of an object: the key, and the value with its kind, for leafValue.
func eachLeaf(object []byte, f func(key []byte, kind byte, value []byte) error) error {
	kind, data, _, err := element(object)
	if err == nil && kind != jsonbObject {
		err = errBadLeaves
	}
	for err == nil && len(data) > 0 {
		var key, value []byte
		if _, key, data, err = element(data); err != nil {
			return err
		}
		if kind, value, data, err = element(data); err == nil {
			err = f(key, kind, value)
		}
	}
	return err
}

// leafValue is the value that appendLeaf wrote.
func leafValue(kind byte, data []byte) (any, error) {
	switch kind {
	case jsonbInt:
		return strconv.ParseInt(string(data), 10, 64)
	case jsonbFloat:
		f, err := strconv.ParseFloat(string(data), 64)
		if math.IsInf(f, 0) {
			err = nil // ±9e999
		}
		return f, err
	case jsonbText, jsonbTextRaw:
		v, _ := decodeLeaf(string(data))
		return v, nil
	case jsonbArray:
		list := []any{}
		for len(data) > 0 {
			k, e, rest, err := element(data)
			if err != nil {
				return nil, err
			}
			v, err := leafValue(k, e)
			if err != nil {
				return nil, err
			}
			list, data = append(list, v), rest
		}
		return list, nil
	default:
		return nil, errBadLeaves
	}
}
