package elastic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// A backup is a file of JSON lines that does not depend on the layout of the indices: a head, one line a document, and a
// foot that tells a whole file from a torn one.
type backupLine struct {
	Version int `json:"mida_backup,omitempty"` // head

	Task        string          `json:"task,omitempty"`
	Claim       string          `json:"claim,omitempty"`
	Workflow    string          `json:"workflow,omitempty"`
	State       string          `json:"state,omitempty"` // of a task or workflow
	Environment string          `json:"environment,omitempty"`
	Entity      string          `json:"entity,omitempty"`
	Time        int64           `json:"time,omitempty"` // of an environment or entity
	Record      string          `json:"record,omitempty"`
	Observer    json.RawMessage `json:"observer,omitempty"`

	Lines *int64 `json:"lines,omitempty"` // foot
}

const backupVersion = 1

// Backup implements store.Admin: all documents as of one moment, while writing goes on. For large views the snapshots of
// the cluster itself are the better way.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("backup: %s exists; want a path where nothing is", path)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(fmt.Errorf("backup to %s: %w", path, err), os.Remove(path))
		}
	}()
	var p *snapshot
	// Between two groups, so that a Write is in it as a whole or not at all.
	err = s.between(ctx, func(context.Context) (err error) {
		p, err = s.snapshot(ctx, kinds...)
		return err
	})
	if err != nil {
		return err
	}
	defer p.close()
	w := bufio.NewWriterSize(f, 1<<20)
	lines := int64(0)
	if err := writeLine(w, backupLine{Version: backupVersion}); err != nil {
		return err
	}
	for _, kind := range kinds {
		err := p.each(ctx, object{"bool": object{"filter": []object{p.inIndex(kind)}}}, sourceOf[kind], smallPage, func(h hit) error {
			l, err := lineOf(kind, h)
			if err != nil {
				return err
			}
			lines++
			return writeLine(w, l)
		})
		if err != nil {
			return err
		}
	}
	if err := writeLine(w, backupLine{Lines: &lines}); err != nil {
		return err
	}
	return errors.Join(w.Flush(), f.Sync())
}

var sourceOf = map[string][]string{
	tasks: {"state"}, claims: {"task", "claim"}, workflows: {"state"}, environments: {"digest", "time", "record"},
	entities: {"digest", "time", "record"}, observers: {"record"},
}

func lineOf(kind string, h hit) (backupLine, error) {
	var d struct {
		State, Task, Claim, Digest, Record string
		Time                               int64
	}
	if err := json.Unmarshal(h.Source, &d); err != nil {
		return backupLine{}, fmt.Errorf("%s %s: %w", kind, h.ID, err)
	}
	switch kind {
	case tasks:
		return backupLine{Task: h.ID, State: d.State}, nil
	case claims:
		return backupLine{Task: d.Task, Claim: d.Claim}, nil
	case workflows:
		return backupLine{Workflow: h.ID, State: d.State}, nil
	case environments:
		return backupLine{Environment: d.Digest, Time: d.Time, Record: d.Record}, nil
	case entities:
		return backupLine{Entity: d.Digest, Time: d.Time, Record: d.Record}, nil
	default:
		return backupLine{Observer: h.Source}, nil
	}
}

func writeLine(w io.Writer, l backupLine) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// restoreAtOnce and restoreBytes bound what is brought in together.
const (
	restoreAtOnce = 5_000
	restoreBytes  = 16 << 20
)

// readBackup reads a backup in parts.
func readBackup(path string, rejected *view.Rejections, bring func(*view.Batch) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	b := view.NewBatch()
	bytesRead, lines := 0, int64(0)
	for n := 1; ; n++ {
		data, err := r.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("restore from %s: line %d: the file ends before its foot: it is torn, or no backup: %w", path, n, err)
		}
		var l backupLine
		if err := json.Unmarshal(bytes.TrimSpace(data), &l); err != nil {
			return fmt.Errorf("restore from %s: line %d: %w", path, n, err)
		}
		switch {
		case n == 1:
			if l.Version != backupVersion {
				return fmt.Errorf("restore from %s: mida_backup is %d; this collector reads %d", path, l.Version, backupVersion)
			}
			continue
		case l.Lines != nil:
			if *l.Lines != lines {
				return fmt.Errorf("restore from %s: %d lines of %d", path, lines, *l.Lines)
			}
			return bring(b)
		}
		if err := l.addTo(b, rejected); err != nil {
			return fmt.Errorf("restore from %s: line %d: %w", path, n, err)
		}
		lines++
		if bytesRead += len(data); b.Events >= restoreAtOnce || bytesRead >= restoreBytes {
			if err := bring(b); err != nil {
				return err
			}
			b, bytesRead = view.NewBatch(), 0
		}
	}
}

func (l *backupLine) addTo(b *view.Batch, rejected *view.Rejections) error {
	b.Events++
	arrival := []view.Arrival{{To: rejected}}
	switch {
	case l.Claim != "":
		c, err := view.ParseClaim(l.Claim)
		if err != nil {
			return err
		}
		t := b.TaskOf(l.Task)
		t.Claims, t.Events = append(t.Claims, c), arrival
	case l.Task != "" || l.Workflow != "":
		state, err := task.DecodeState([]byte(l.State))
		if err != nil {
			return err
		}
		if l.Task != "" {
			t := b.TaskOf(l.Task)
			t.State, t.Events = state, arrival
		} else {
			b.Workflows[view.Workflow(state).ID] = &view.Task{State: state, Events: arrival}
		}
	case l.Environment != "" || l.Entity != "":
		v, err := task.DecodeStored([]byte(l.Record))
		if err != nil {
			return err
		}
		r := &view.Record{Time: l.Time, Value: v, JSON: l.Record, Events: arrival}
		if l.Environment != "" {
			b.Environments[l.Environment] = r
		} else {
			b.Entities[l.Entity] = r
		}
	case l.Observer != nil:
		k, o, err := observerOf(l.Observer)
		if err != nil {
			return err
		}
		b.AddObserved(k, o.Observed)
	default:
		return errors.New("neither a task, claim, workflow, environment, entity nor observer")
	}
	return nil
}
