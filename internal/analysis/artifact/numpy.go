package artifact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

const npyMagic = "\x93NUMPY"

// maxNPYHeader is more than NumPy itself reads.
const maxNPYHeader = 64 << 10

var (
	npyDescr = regexp.MustCompile(`'descr'\s*:\s*('[^']*'|\[[^\]]*\])`)
	npyShape = regexp.MustCompile(`'shape'\s*:\s*(\([^)]*\))`)
)

func describeNPY(f *File) (*Description, error) {
	a, err := npyHeader(io.NewSectionReader(f, 0, f.Size))
	if err != nil {
		return nil, err
	}
	d := &Description{Format: "NumPy array"}
	d.array(a)
	return d, nil
}

// npyHeader reads the header of an array, which is the text of a Python dict.
func npyHeader(r io.Reader) (Array, error) {
	lead := make([]byte, 8)
	if _, err := io.ReadFull(r, lead); err != nil || string(lead[:6]) != npyMagic {
		return Array{}, errors.New("not described: no NumPy array")
	}
	var length uint32
	if lead[6] == 1 {
		var n uint16
		if err := binary.Read(r, binary.LittleEndian, &n); err != nil {
			return Array{}, fmt.Errorf("not described: the header is cut: %w", err)
		}
		length = uint32(n)
	} else if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
		return Array{}, fmt.Errorf("not described: the header is cut: %w", err)
	}
	if length > maxNPYHeader {
		return Array{}, fmt.Errorf("not described: a header of %d bytes", length)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(r, header); err != nil {
		return Array{}, fmt.Errorf("not described: the header is cut: %w", err)
	}
	descr, shape := npyDescr.FindSubmatch(header), npyShape.FindSubmatch(header)
	if descr == nil || shape == nil {
		return Array{}, errors.New("not described: a header without shape or type")
	}
	return Array{Shape: cut(string(shape[1]), 200), DType: cut(strings.Trim(string(descr[1]), "'"), 200)}, nil
}
