// Package control is what the parts of the controller API agree on: who registers observers (extension/taskquery), who
// keeps and runs them (extension/taskcontroller), in which pipeline (receiver/managedreceiver), and what a receiver must
// tell of a configuration that came over the network.
package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// Registration is what a client asks to have observed.
type Registration struct {
	ID     string         // unique; empty: one is made
	Kind   string         // type of a receiver, such as mlflow
	Config map[string]any // its configuration, without storage
	By     string         // who asks
}

// State of a registered observer.
type State string

// The states. An observer that failed says why, and can be started again.
const (
	Stopped  State = "stopped"
	Running  State = "running"
	Draining State = "draining"
	Failed   State = "failed"
)

// Observer is a registered observer as clients see it.
type Observer struct {
	ID, Kind, By string
	Config       map[string]any // secrets taken out
	State        State
	Problem      string // why it failed
	RegisteredAt time.Time
	StartedAt    time.Time // zero: never since the collector started
	Events       int64     // accepted by the pipeline since the collector started
	Refused      int64     // requests that the pipeline refused, which are tried again
	LastEventAt  time.Time
}

// Drained says how an observer stopped.
type Drained struct {
	// Complete says that everything the tool did before the call is in the view.
	Complete bool
	Problem  string // why not, or what that leaves open
	Deleted  bool
}

// Service keeps observers and runs them while the collector runs. Errors are ErrUnknown, ErrConflict, ErrDetached, a *Refusal, or a
// fault of the collector.
type Service interface {
	Observers() []Observer
	Observer(id string) (Observer, error)
	// Register keeps an observer and, with start, runs it. The same registration again is no error and changes nothing.
	Register(ctx context.Context, r Registration, start bool) (Observer, error)
	StartObserver(ctx context.Context, id string) (Observer, error)
	// StopObserver drains: it returns when what the tool did before the call is in the view, or ctx has ended.
	StopObserver(ctx context.Context, id string) (Observer, Drained, error)
	// DeleteObserver drains and forgets an observer, with its position. One that could not be drained is stopped and kept,
	// unless it is forced.
	DeleteObserver(ctx context.Context, id string, force bool) (Drained, error)
	// Discovered looks for what could be observed; ErrNoDiscovery where the operator does not want that.
	Discovered(ctx context.Context) (Discovery, error)
}

// Offer is something that was found and could be observed: register its Kind and Config.
type Offer struct {
	ID, Kind string // the id is the same at each look
	Config   map[string]any
	Evidence string // how it was found
	Note     string // what to know before it is started
	Observed string // the id of the observer that observes it already
}

// Discovery is what a look found, and what it could not offer or did not look at.
type Discovery struct {
	Offers []Offer
	Notes  []string
}

// Pipeline is what a managed receiver lends to the controller.
type Pipeline struct {
	Host     component.Host
	Settings receiver.Settings
	Next     consumer.Logs
}

// Runner takes the pipeline in which registered observers run.
type Runner interface {
	// Attach starts what shall run.
	Attach(ctx context.Context, p Pipeline) error
	// Detach ends it all; at the next Attach it goes on.
	Detach(ctx context.Context) error
}

// Manageable is the configuration of a receiver that may be registered over the network.
type Manageable interface {
	// Reach names everything outside the collector that this configuration leads to. Its error is a *Refusal of what only
	// the operator may configure.
	Reach() ([]Place, error)
	// Keep sets where the observer keeps its position, and a directory of its own for what others write for it.
	Keep(storage component.ID, directory string)
}

// Place is one thing that a configuration leads to: a path or a host.
type Place struct {
	Key  string // of the configuration
	Path string // a file, a directory or a glob that is read or written
	Host string // a name or an address, without a port
}

// ErrUnknown says that no observer has that id.
var ErrUnknown = errors.New("there is no such observer")

// ErrConflict says that another observer has that id.
var ErrConflict = errors.New("another observer has this id")

// ErrDetached says that no pipeline takes events of observers.
var ErrDetached = errors.New("no pipeline takes the observers' events; list the managed receiver in a logs pipeline, and ask once the " +
	"collector has started")

// ErrNoDiscovery says that this collector looks for nothing by itself.
var ErrNoDiscovery = errors.New("this collector does not look for what could be observed; set discover: {} in its taskcontroller extension")

// Refusal is a registration that cannot be taken, with the key that is to blame.
type Refusal struct {
	Field, Problem string
	Valid          []string
}

func (r *Refusal) Error() string {
	if r.Field == "" {
		return r.Problem
	}
	return fmt.Sprintf("%s: %s", r.Field, r.Problem)
}

// FromHost returns the controller of this collector.
func FromHost(host component.Host) (Service, bool) {
	for _, ext := range host.GetExtensions() {
		if s, ok := ext.(Service); ok {
			return s, true
		}
	}
	return nil, false
}
