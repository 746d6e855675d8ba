package store

import "context"

// PartKind says what a part is of.
type PartKind string

// The kinds of parts.
const (
	PartTask        PartKind = "tasks"
	PartClaim       PartKind = "claims"
	PartWorkflow    PartKind = "workflows"
	PartEnvironment PartKind = "environments"
	PartEntity      PartKind = "entities"
	PartObserver    PartKind = "observers"
)

// PartKinds are all kinds, in the order of a snapshot.
var PartKinds = []PartKind{PartTask, PartClaim, PartWorkflow, PartEnvironment, PartEntity, PartObserver}

// Part is one piece of a view in a form that belongs to no database: the state of a task or workflow, a claim, a record,
// or what is known of an observer. All that a store holds is derived from its parts. Package view makes and reads them.
type Part struct {
	Kind PartKind
	ID   string // names the part within its kind
	Data string // canonical: two stores know the same of a part when they have the same text
}

// Refused is a part that a store can never take, and why.
type Refused struct {
	Kind PartKind
	ID   string
	Err  error
}

// Transfer moves views between stores.
type Transfer interface {
	// Snapshot opens the view as of this moment. Writing goes on beside it. Who opens it must close it: Close of the store
	// waits for that.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Import merges parts into the view, as Write merges events: order, cutting and repetition do not change the result.
	// It returns after the commit. Parts that cannot be read, or never be stored, are refused with the reason and stop
	// nothing else. An error means that nothing, or only a part, was written: import them again.
	Import(ctx context.Context, parts []Part) ([]Refused, error)
}

// Snapshot is a view as of one moment.
type Snapshot interface {
	// Parts calls each for every part, by kind in the order of PartKinds, within a kind by rising bytes of the id, which is
	// the same order in every store. With a campaign these are its tasks, their claims, workflows and environments, and its
	// observers; entities are shared between campaigns, and all of them come. It may be called again. An error of each ends
	// it and is returned.
	Parts(ctx context.Context, campaign string, each func(Part) error) error
	// Close releases the snapshot.
	Close() error
}
