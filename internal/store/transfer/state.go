package transfer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/ownfile"
	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// The state file of a copy has a head, and a line for every group of parts that the target has. A copy that was broken
// off, however, reads its source again, from the beginning: it may have changed. A group that has the sum which its line
// says is left out, any other is imported.
type stateFile struct {
	path   string
	file   *os.File
	groups map[store.PartKind][]group // by rising last
	done   map[groupKey]string
}

type groupKey struct {
	kind store.PartKind
	last string
}

// group is the parts of a kind behind the last one of the group before.
type group struct {
	Kind store.PartKind `json:"kind"`
	Last string         `json:"last"` // the id of the last part
	Sum  string         `json:"sum"`
}

type stateHead struct {
	Version  int    `json:"mida_copy"`
	From     string `json:"from"`
	To       string `json:"to"`
	Campaign string `json:"campaign,omitempty"`
}

const stateVersion = 1

// openState opens the state file at path, which is made if missing. What it says of another copy does not count.
func openState(path string, head stateHead) (_ *stateFile, err error) {
	s := &stateFile{path: path, groups: map[store.PartKind][]group{}, done: map[groupKey]string{}}
	if path == "" {
		return s, nil
	}
	head.Version = stateVersion
	if s.file, err = ownfile.Open(path, os.O_RDWR|os.O_CREATE); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	size, err := s.load(head)
	if err == nil {
		// A line that a killed process left half-written goes.
		err = s.file.Truncate(size)
	}
	if err == nil {
		_, err = s.file.Seek(size, 0)
	}
	if err == nil && size == 0 {
		err = s.append(head)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), s.file.Close())
	}
	for k, sum := range s.done {
		s.groups[k.kind] = append(s.groups[k.kind], group{k.kind, k.last, sum})
	}
	for _, l := range s.groups {
		sort.Slice(l, func(i, j int) bool { return l[i].Last < l[j].Last })
	}
	return s, nil
}

// load reads the lines of the same copy and returns how far they go, 0 if they are of another one.
func (s *stateFile) load(head stateHead) (size int64, err error) {
	r := bufio.NewReader(s.file)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return size, nil // the end, or half a line
		}
		if size == 0 {
			var have stateHead
			if json.Unmarshal(line, &have) != nil || have != head {
				return 0, nil
			}
		} else {
			var g group
			if json.Unmarshal(line, &g) != nil {
				return size, nil
			}
			s.done[groupKey{g.Kind, g.Last}] = g.Sum
		}
		size += int64(len(line))
	}
}

func (s *stateFile) append(v any) error {
	if s.file == nil {
		return nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = s.file.Write(append(line, '\n'))
	return err
}

// next returns the first known group of a kind that ends at the id or behind it.
func (s *stateFile) next(kind store.PartKind, id string) (group, bool) {
	l := s.groups[kind]
	i := sort.Search(len(l), func(i int) bool { return l[i].Last >= id })
	if i == len(l) {
		return group{}, false
	}
	return l[i], true
}

func (s *stateFile) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// remove removes the file: the copy is complete.
func (s *stateFile) remove() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.close(), os.Remove(s.path))
	s.file = nil
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
