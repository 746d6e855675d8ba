// Package store holds the ports between the task view and its databases. One conformance suite (package storetest) runs
// against every implementation.
package store

import (
	"context"
	"errors"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// ErrNotFound says that the view has no such task, workflow or environment.
var ErrNotFound = errors.New("not found")

// ErrClosed is the error of calls on a closed store.
var ErrClosed = errors.New("store is closed")

// Store is one view of tasks. All methods may be called concurrently.
type Store interface {
	Writer
	Reader
	Admin
	Transfer
	// Close waits for running calls and releases the database. Later calls fail with ErrClosed, Close itself does not.
	Close(ctx context.Context) error
}

// Writer merges events into the view.
type Writer interface {
	// Write merges the events with what the store holds (task.State) and adds their claims. It returns after the commit:
	// a nil error means that everything but the rejected events is durable and visible to readers. The order of events,
	// the cutting into batches and repetition do not change the view. Events of one task are merged in the batch before
	// the database is touched. An error means that nothing, or only a part, was written: write the batch again.
	// An event that the store can never take (a poison record) is rejected with its reason and stops nothing else.
	// Write does not keep or change the events. Where ctx ends it, they may be read a little longer: its caller must not
	// change them then.
	Write(ctx context.Context, events []*task.Event) (rejected []Rejected, err error)
}

// Rejected is an event that can never be stored, and why.
type Rejected struct {
	Event *task.Event
	Err   error
}

// Reader answers questions about the view. Every answer is a consistent snapshot as of its start. An id that the view does
// not have is no error, it is absent from the answer; an error means that the database could not be asked, or that what it
// holds is damaged. Times are unix nanoseconds, 0 = unknown.
type Reader interface {
	// Query answers a validated query. A task whose state is damaged is a warning in the answer, not an error.
	Query(ctx context.Context, q *query.Query) (*query.Answer, error)

	// Scan calls each for every task that the scan selects, in any order, and returns how many match its filter. The values
	// of a row stand in the order of the scan's fields, query.Absent where the task has none; each may use them until it
	// returns. An error of each ends the scan and is returned. A field that is ambiguous in a task is refused, as by Query.
	Scan(ctx context.Context, s *query.Scan, each func(row []any) error) (matching int64, err error)

	// Tasks returns the documents (task.Document.Map, with the environment's digest) of those ids that exist, by id.
	Tasks(ctx context.Context, ids []string) (map[string]map[string]any, error)

	// Facts returns what links need to know about tasks, of those ids that exist, by id.
	Facts(ctx context.Context, ids []string) (map[string]TaskFacts, error)

	// ClaimsOf returns the claims of the given tasks.
	ClaimsOf(ctx context.Context, taskIDs []string) ([]TaskClaim, error)

	// ClaimsOn returns the claims on the given entities, in one role or, for the role "", in both. An upstream walk asks
	// only for who generated: a dataset may have a million users.
	ClaimsOn(ctx context.Context, entities []string, role task.Role) ([]TaskClaim, error)

	// Dependents returns the declared edges (dependencies and parents) that lead to the given tasks.
	Dependents(ctx context.Context, ids []string) ([]Edge, error)

	// Dependencies returns the declared edges that start at the given tasks; the task they lead to may be unknown yet.
	Dependencies(ctx context.Context, ids []string) ([]Edge, error)

	// Environments returns the environment records by digest, of those that exist.
	Environments(ctx context.Context, digests []string) (map[string]map[string]any, error)

	// Campaigns lists the campaigns with their counts, by rising id. Tasks without one are in the campaign "".
	Campaigns(ctx context.Context) ([]Campaign, error)

	// Workflows lists the workflows of a campaign ("" = all), by campaign, first moment and id. Tasks without a workflow are
	// in the workflow "".
	Workflows(ctx context.Context, campaign string) ([]Workflow, error)

	// Checkpoints returns the latest checkpoint of each observer of a campaign ("" = all), and which numbered events of it
	// arrived. What arrived is written together with the events that it counts; a rejected event did not arrive.
	Checkpoints(ctx context.Context, campaign string) ([]Checkpoint, error)
}

// Admin changes the view as a whole.
type Admin interface {
	// DeleteCampaign removes the tasks, workflows, claims and observers of a campaign and says how many tasks. An empty id is
	// an error, an unknown one deletes nothing. After an error a part may be deleted: call it again.
	DeleteCampaign(ctx context.Context, campaign string) (tasks int64, err error)
	// Backup writes a consistent copy to path; that something is there already is an error. After any other error no file is
	// left.
	Backup(ctx context.Context, path string) error
	// Size estimates the bytes that the view takes. What was deleted does not count, although its place may be taken until
	// it is used again.
	Size(ctx context.Context) (int64, error)
}

// TaskFacts is what links and overviews need to know about a task. Times are unix nanoseconds, 0 = unknown.
type TaskFacts struct {
	ID, TaskID, Kind, CampaignID, WorkflowID, WorkflowName, ActivityID string
	Status                                                             task.Status
	StartedAt, EndedAt                                                 int64
	TraceID                                                            [16]byte // of the task's span
	SpanID                                                             [8]byte
}

// TaskClaim is a claim together with its task.
type TaskClaim struct {
	TaskID string // the unique id
	task.Claim
}

// Edge is a declared edge: From depends on To (or is a child of it).
type Edge struct {
	From, To string // ids
	Parent   bool   // From is a child of To, rather than dependent on its result
	Field    string // the used path that holds To's result, where known
}

// Campaign is one row of the campaign list. FirstAt and LastAt are the first and the last moment that its tasks and
// workflows tell of, in unix nanoseconds; 0 = they tell of none.
type Campaign struct {
	ID               string
	Tasks, Workflows int64
	ByStatus         map[string]int64 // tasks by the name of their status
	FirstAt, LastAt  int64
}

// Workflow is one row of the workflow list. FirstAt and LastAt are as in Campaign.
type Workflow struct {
	ID, Name, ParentID, CampaignID, Kind string
	Tasks                                int64
	ByStatus                             map[string]int64
	FirstAt, LastAt                      int64
}
