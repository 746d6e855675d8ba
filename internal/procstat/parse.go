package procstat

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// ticks is USER_HZ, which Linux fixed at 100 for all that it shows to programs.
const ticks = 100

var errFormat = errors.New("not in the format of Linux")

// stat is what /proc/<pid>/stat says that is of use here.
type stat struct {
	ppid           int
	cpu, childCPU  float64 // s
	threads, start uint64  // start in ticks since boot
	zombie         bool    // it ended, and nobody has asked how
}

// parseStat reads /proc/<pid>/stat. The name of the program may hold spaces and parentheses; the last one ends it.
func parseStat(b []byte) (s stat, err error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 || end+2 > len(b) {
		return s, errFormat
	}
	b = b[end+2:]
	zombie := len(b) > 0 && b[0] == 'Z'
	var n [20]uint64 // fields 3 (state) to 22 (starttime)
	for i := range n {
		field, rest, _ := bytes.Cut(b, []byte{' '})
		if len(field) == 0 {
			return s, errFormat
		}
		if i > 0 {
			n[i] = number(field)
		}
		b = rest
	}
	return stat{
		ppid: int(n[1]), cpu: float64(n[11]+n[12]) / ticks, childCPU: float64(n[13]+n[14]) / ticks,
		threads: n[17], start: n[19], zombie: zombie,
	}, nil
}

// parseIO reads /proc/<pid>/io into the values of a sample.
func parseIO(b []byte, v *Values) {
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok {
			continue
		}
		n := float64(number(value))
		switch string(name) {
		case "rchar":
			v[IORead] += n
		case "wchar":
			v[IOWrite] += n
		case "read_bytes":
			v[DiskRead] += n
		case "write_bytes":
			v[DiskWrite] += n
		}
	}
}

// number reads digits up to the first other byte; a negative number is 0.
func number(b []byte) (n uint64) {
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// read returns the whole of a small file of /proc, from its beginning. An open file stays bound to its process: when that
// is gone, reading fails, also when another process has its number.
func read(f *os.File, buf []byte) ([]byte, error) {
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf[:n], nil
}

// appendNumbers adds the numbers of a text, such as /proc/<pid>/task/<tid>/children.
func appendNumbers(out []int, b []byte) []int {
	for _, field := range bytes.Fields(b) {
		if n := number(field); n > 0 {
			out = append(out, int(n))
		}
	}
	return out
}
