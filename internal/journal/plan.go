package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"
	"time"
)

// job is one segment to look at.
type job struct {
	seg   *segment
	later bool
	waits int64 // bytes of all segments of its observer that were not read yet
	over  int64 // what its observer's last share was exceeded by
}

// plan lists the directory and chooses, per observer, the oldest segment that is not finished, if it can have news. more
// says that one round cannot look at all of them.
func (r *Reader) plan(root *os.Root, now time.Time) (jobs []job, more bool, err error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil && len(entries) == 0 {
		return nil, false, fmt.Errorf("%s: %w", r.dir, err)
	}
	seen := make(map[string]bool, len(entries))
	byObserver := map[string][]*segment{}
	for _, entry := range entries {
		file := entry.Name()
		seen[file] = true
		name, ok := parseSegmentName(file)
		if !ok {
			if isSegmentFile(file) {
				r.refuse(file, errors.New("want a name such as <observer>-<n>.mj, n from 1"))
			}
			continue
		}
		s := r.segs[file]
		if s == nil {
			s = &segment{segmentName: name}
			if info, err := entry.Info(); err == nil {
				s.size = info.Size() // for Lag, until it is read
			}
			r.segs[file] = s
		}
		byObserver[name.observer] = append(byObserver[name.observer], s)
	}
	r.forget(root, seen)
	observers := make([]string, 0, len(byObserver))
	for name := range byObserver {
		observers = append(observers, name)
	}
	sort.Strings(observers)
	for _, name := range observers {
		chosen := len(jobs)
		jobs = r.choose(root, byObserver[name], now, jobs)
		for i := range jobs[chosen:] {
			jobs[chosen+i].waits, jobs[chosen+i].over = unread(byObserver[name]), r.over[name]
		}
	}
	if more = len(jobs) > roundSegments; more {
		r.turn = (r.turn + roundSegments) % len(jobs)
		jobs = append(jobs[r.turn:], jobs[:r.turn]...)[:roundSegments]
	}
	return jobs, more, nil
}

// unread is how many bytes of an observer's segments were not read, as far as their sizes are known.
func unread(segs []*segment) (bytes int64) {
	for _, s := range segs {
		bytes += max(0, s.size-s.pos)
	}
	return bytes
}

// shares says how much of each job a round reads. Who has more to tell gets more, so that the observers of a job, say its
// scheduler and its workers, reach the end of a backlog together: what they tell of a task then mostly meets in one batch.
func shares(jobs []job) []int64 {
	var all int64
	for _, j := range jobs {
		all += j.waits
	}
	out := make([]int64, len(jobs))
	for i, j := range jobs {
		out[i] = int64(roundBytes / len(jobs))
		if all > 0 {
			out[i] = int64(roundBytes * (float64(j.waits) / float64(all)))
		}
		// The last share ended with a whole record, behind its end, or with its segment, before it. Without that an observer
		// whose segment ended would stay behind the others for as long as there is a backlog.
		out[i] = max(minShare, out[i]-j.over)
	}
	return out
}

// choose adds what is to be read of one observer: its first segment in order, and those that were set aside and are due.
func (r *Reader) choose(root *os.Root, segs []*segment, now time.Time, jobs []job) []job {
	sort.Slice(segs, func(i, k int) bool {
		if segs[i].n != segs[k].n {
			return segs[i].n < segs[k].n
		}
		return segs[i].file < segs[k].file
	})
	last := segs[len(segs)-1].n
	for _, s := range segs {
		if s.ended {
			continue
		}
		j := job{seg: s, later: s.n < last}
		if s.aside {
			if now.After(s.nextCheck) {
				jobs = append(jobs, j)
			}
			continue
		}
		if s.quiet && !j.later && now.Before(s.nextCheck) {
			if info, err := root.Lstat(s.file); err == nil && info.Size() == s.size {
				return jobs
			}
		}
		return append(jobs, j)
	}
	return jobs
}

// forget drops what is no longer there, and removes the position files of segments that are gone.
func (r *Reader) forget(root *os.Root, seen map[string]bool) {
	for file := range r.segs {
		if !seen[file] {
			delete(r.segs, file)
			delete(r.reported, file)
		}
	}
	for file := range seen {
		name := strings.TrimSuffix(strings.TrimSuffix(file, extTemp), extAck)
		if name != file && isSegmentFile(name) && !seen[name] {
			if err := root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				r.report(file, err)
			}
		}
	}
}
