package artifact

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Description is what the header of a data or model file says. Nothing of the file is run.
type Description struct {
	Format  string  `json:"format"`
	Facts   []Fact  `json:"facts,omitempty"`
	Arrays  []Array `json:"arrays,omitempty"`
	Layers  []Layer `json:"layers,omitempty"`
	Omitted int     `json:"omitted,omitempty"` // arrays and layers beyond the bound
}

// Fact is one thing that a header says.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Array is an array or a tensor of a file.
type Array struct {
	Name  string `json:"name"`
	Shape string `json:"shape"` // as Python writes it: "(2700, 256)"
	DType string `json:"dtype"`
}

// Layer is a layer of a network.
type Layer struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Shape  string `json:"shape,omitempty"` // of what goes in
	Config string `json:"config,omitempty"`
}

// maxParts bounds the arrays and the layers of one description.
const maxParts = 200

func (d *Description) array(a Array) {
	if len(d.Arrays) >= maxParts {
		d.Omitted++
		return
	}
	d.Arrays = append(d.Arrays, a)
}

func (d *Description) layer(l Layer) {
	if len(d.Layers) >= maxParts {
		d.Omitted++
		return
	}
	d.Layers = append(d.Layers, l)
}

func (d *Description) fact(name, value string) {
	if value != "" && len(d.Facts) < maxParts {
		d.Facts = append(d.Facts, Fact{name, cut(value, 500)})
	}
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// Describe reads what a file says about itself. The error says why nothing could be learned.
func (r *Reader) Describe(f *File) (*Description, error) {
	cost := min(f.Size, maxHeader)
	if r.descriptions < cost {
		return nil, errors.New("not described: one report reads no more headers")
	}
	r.descriptions -= cost
	magic := make([]byte, 8)
	n, err := f.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	magic = magic[:n]
	starts := func(s string) bool { return strings.HasPrefix(string(magic), s) }
	switch ext := strings.ToLower(filepath.Ext(f.Path)); {
	case starts(npyMagic):
		return describeNPY(f)
	case starts("PK\x03\x04"):
		return describeZip(f)
	case starts("\x89HDF\r\n\x1a\n"):
		return nil, errors.New("not described: HDF5 is not read here")
	case ext == ".safetensors":
		return describeSafetensors(f)
	case ext == ".onnx":
		return describeONNX(f)
	case ext == ".pkl" || ext == ".pickle" || ext == ".joblib" || ext == ".pt" || ext == ".pth" || ext == ".dill" ||
		n > 1 && magic[0] == 0x80 && magic[1] >= 2 && magic[1] <= 5:
		return nil, errors.New("not described: to read a pickle is to run what is in it")
	}
	return nil, errors.New("not described: its format says nothing that is read here")
}
