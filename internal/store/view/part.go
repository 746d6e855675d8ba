package view

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Name is an id that is made of several texts: 32 hex digits.
func Name(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// MaxKey bounds, in bytes, the part of a text that a key repeats.
const MaxKey = 512

// Key stands for a text of any length where its length is bounded: the text, or its beginning and a digest.
func Key(text string) string {
	if len(text) <= MaxKey {
		return text
	}
	end := MaxKey
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…" + Name(text)
}

// TaskPart is the state of a task, as task.State.Encode writes it.
func TaskPart(id string, state []byte) store.Part {
	return store.Part{Kind: store.PartTask, ID: id, Data: string(state)}
}

// WorkflowPart is the state of a workflow, as task.State.Encode writes it.
func WorkflowPart(id string, state []byte) store.Part {
	return store.Part{Kind: store.PartWorkflow, ID: Key(id), Data: string(state)}
}

// Claim is a claim as stores keep it: there is no confidence NaN, and no negative zero.
func Claim(c task.Claim) task.Claim {
	if math.IsNaN(c.Confidence) || c.Confidence == 0 {
		c.Confidence = 0
	}
	return c
}

// ClaimText is a claim as text. Two claims are the same when their texts are.
func ClaimText(c task.Claim) string {
	c = Claim(c)
	return task.JSON([]any{string(c.Role), c.Entity, c.Time, c.TimeSource, c.Evidence, c.Confidence, c.Field, c.Label})
}

// ParseClaim reads what ClaimText made. Anything else is an error.
func ParseClaim(text string) (task.Claim, error) {
	v, err := task.DecodeStored([]byte(text))
	l, _ := v.([]any)
	if err != nil || len(l) != 8 {
		return task.Claim{}, fmt.Errorf("claim %.200s: damaged", text)
	}
	str := func(i int) string { s, _ := l[i].(string); return s }
	c := task.Claim{
		Role: task.Role(str(0)), Entity: str(1), TimeSource: str(3), Evidence: str(4), Field: str(6), Label: str(7),
	}
	c.Time, _ = l[2].(int64)
	c.Confidence, _ = l[5].(float64)
	return c, nil
}

// ClaimPart is a claim of a task, by its text. All claims of a task follow each other.
func ClaimPart(taskID, text string) store.Part {
	return store.Part{Kind: store.PartClaim, ID: taskID + "/" + Name(taskID, text), Data: task.JSON([]any{taskID, text})}
}

// RecordPart is an environment or an entity: the time of its event in unix ns, and the record as canonical JSON.
func RecordPart(kind store.PartKind, digest string, time int64, record string) store.Part {
	return store.Part{Kind: kind, ID: Key(digest), Data: task.JSON([]any{digest, time, record})}
}

// ObserverPart is what is known of an observer in a campaign.
func ObserverPart(k Observer, o Observed) store.Part {
	return store.Part{Kind: store.PartObserver, ID: Name(k.ID, k.Campaign), Data: ObserverText(k, o)}
}

// ObserverText is what is known of an observer in a campaign, as text.
func ObserverText(k Observer, o Observed) string {
	ranges := make([]any, len(o.Arrived))
	for i, r := range o.Arrived {
		ranges[i] = []any{r[0], r[1]}
	}
	c := o.Checkpoint
	if c.Dropped == "" {
		c.Dropped = "[]"
	}
	if c.Record == "" {
		c.Record = "{}"
	}
	return task.JSON([]any{k.ID, k.Campaign, c.At, c.Seq, c.LastSeq, c.Dropped, c.Final, c.Host, ranges, c.Record, o.Finished})
}

// part is a part as it was read: the fields of its kind are set.
type part struct {
	state  *task.State
	task   string
	claim  task.Claim
	digest string
	record *Record
	key    Observer
	seen   Observed
}

func readPart(p store.Part) (r part, err error) {
	switch p.Kind {
	case store.PartTask, store.PartWorkflow:
		r.state, err = task.DecodeState([]byte(p.Data))
	case store.PartClaim:
		var text string
		if err = readList(p.Data, &r.task, &text); err == nil {
			r.claim, err = ParseClaim(text)
		}
	case store.PartEnvironment, store.PartEntity:
		r.record = &Record{}
		if err = readList(p.Data, &r.digest, &r.record.Time, &r.record.JSON); err == nil {
			r.record.Value, err = task.DecodeStored([]byte(r.record.JSON))
		}
	case store.PartObserver:
		r.key, r.seen, err = ParseObserver(p.Data)
	default:
		err = fmt.Errorf("kind %q; want one of %v", p.Kind, store.PartKinds)
	}
	return r, err
}

// ParseObserver reads what ObserverText made. Anything else is an error, apart from the first nine of its values: that is
// what the first versions wrote.
func ParseObserver(text string) (k Observer, o Observed, err error) {
	c := &o.Checkpoint
	to := []any{&k.ID, &k.Campaign, &c.At, &c.Seq, &c.LastSeq, &c.Dropped, &c.Final, &c.Host, &o.Arrived, &c.Record, &o.Finished}
	if err = readList(text, to...); errors.Is(err, errCount) {
		err = readList(text, to[:9]...)
	}
	return k, o, err
}

var errCount = errors.New("wrong number of values")

func readList(text string, to ...any) error {
	var l []json.RawMessage
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return err
	}
	if len(l) != len(to) {
		return fmt.Errorf("%w: %d; want %d", errCount, len(l), len(to))
	}
	for i, t := range to {
		if err := json.Unmarshal(l[i], t); err != nil {
			return err
		}
	}
	return nil
}

// AddParts groups parts, and returns those that cannot be read, with the reason. What a store rejects of the others it adds
// to rejected, see RefusedOf.
func (b *Batch) AddParts(rejected *Rejections, parts []store.Part) (refused []store.Refused) {
	for _, p := range parts {
		r, err := readPart(p)
		if err != nil {
			refused = append(refused, store.Refused{Kind: p.Kind, ID: p.ID, Err: err})
			continue
		}
		b.addPart(p, r, []Arrival{{rejected, &task.Event{Name: string(p.Kind), Key: p.ID}}})
	}
	return refused
}

func (b *Batch) addPart(p store.Part, r part, arrival []Arrival) {
	b.Events++
	switch p.Kind {
	case store.PartTask, store.PartClaim:
		one := &Task{State: r.state, Events: arrival}
		id := p.ID
		if p.Kind == store.PartClaim {
			id, one.Claims = r.task, []task.Claim{r.claim}
		}
		b.TaskOf(id)
		mergeTasks(b.Tasks, map[string]*Task{id: one})
	case store.PartWorkflow:
		mergeTasks(b.Workflows, map[string]*Task{Workflow(r.state).ID: {State: r.state, Events: arrival}})
	case store.PartEnvironment, store.PartEntity:
		r.record.Events = arrival
		if p.Kind == store.PartEnvironment {
			putRecord(b.Environments, r.digest, r.record)
		} else {
			putRecord(b.Entities, r.digest, r.record)
		}
	default:
		b.AddObserved(r.key, r.seen)
	}
}

// RefusedOf are the parts among rejected.
func RefusedOf(rejected []store.Rejected) []store.Refused {
	var out []store.Refused
	for _, r := range rejected {
		out = append(out, store.Refused{Kind: store.PartKind(r.Event.Name), ID: r.Event.Key, Err: r.Err})
	}
	return out
}

// Contains says whether all that a part says is in another one of the same kind and id, or was replaced there by something
// later. What has the same time and another content counts as different: it cannot be told from damage. A part that cannot
// be read is an error.
func Contains(have, p store.Part) (bool, error) {
	if have.Data == p.Data {
		return true, nil
	}
	h, err := readPart(have)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", have.Kind, have.ID, err)
	}
	r, err := readPart(p)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", p.Kind, p.ID, err)
	}
	switch p.Kind {
	case store.PartTask, store.PartWorkflow:
		return covers(h.state, r.state), nil
	case store.PartEnvironment, store.PartEntity:
		return h.record.Time > r.record.Time, nil
	case store.PartObserver:
		_, more := h.seen.Arrived.Union(r.seen.Arrived)
		return !more && h.seen.Finished >= r.seen.Finished && !h.seen.Checkpoint.Less(&r.seen.Checkpoint), nil
	default:
		return false, nil
	}
}

func covers(have, s *task.State) bool {
	for attempt, facets := range s.Attempts {
		for facet, n := range facets {
			h := have.Attempts[attempt][facet]
			if h == nil {
				return false
			}
			if later := h.Event.Time > n.Event.Time || h.Event.Time == n.Event.Time && h.Event.Seq > n.Event.Seq; !later && !same(h, n) {
				return false
			}
		}
	}
	return true
}

func same(a, b *task.Snapshot) bool {
	alone := func(n *task.Snapshot) *task.State {
		return &task.State{Attempts: map[int64]map[string]*task.Snapshot{0: {"": n}}}
	}
	return alone(a).Equal(alone(b))
}

// CompareParts orders parts as snapshots do; kinds are compared by their place in store.PartKinds.
func CompareParts(a, b store.Part) int {
	if a.Kind != b.Kind {
		return place(a.Kind) - place(b.Kind)
	}
	return strings.Compare(a.ID, b.ID)
}

func place(kind store.PartKind) int {
	for i, k := range store.PartKinds {
		if k == kind {
			return i
		}
	}
	return len(store.PartKinds)
}
