package artifact

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

// describeSafetensors reads the JSON header: eight bytes of length, then name → type and shape.
func describeSafetensors(f *File) (*Description, error) {
	var length uint64
	if err := binary.Read(io.NewSectionReader(f, 0, 8), binary.LittleEndian, &length); err != nil {
		return nil, fmt.Errorf("not described: the header is cut: %w", err)
	}
	if length > maxHeader || f.Size < 8 || length > uint64(f.Size)-8 {
		return nil, fmt.Errorf("not described: a header of %d bytes in a file of %d", length, f.Size)
	}
	var entries map[string]json.RawMessage
	if err := json.NewDecoder(io.NewSectionReader(f, 8, int64(length))).Decode(&entries); err != nil {
		return nil, fmt.Errorf("not described: the header: %w", err)
	}
	d := &Description{Format: "safetensors"}
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if name == "__metadata__" {
			var about map[string]string
			if json.Unmarshal(entries[name], &about) == nil {
				for _, k := range sortedKeys(about) {
					d.fact(cut(k, 100), about[k])
				}
			}
			continue
		}
		var t struct {
			DType string  `json:"dtype"`
			Shape []int64 `json:"shape"`
		}
		if err := json.Unmarshal(entries[name], &t); err != nil {
			return nil, fmt.Errorf("not described: %s: %w", cut(name, 100), err)
		}
		d.array(Array{Name: cut(name, 200), Shape: tuple(t.Shape), DType: cut(t.DType, 20)})
	}
	return d, nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// tuple writes a shape as Python does.
func tuple(shape []int64) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = fmt.Sprint(n)
	}
	if len(parts) == 1 {
		return "(" + parts[0] + ",)"
	}
	return cut("("+strings.Join(parts, ", ")+")", 200)
}

var errProtobuf = errors.New("not described: the file is damaged")
