//go:generate mdatagen metadata.yaml

// Package mlflowreceiver observes MLflow: it polls the tracking database, read-only, and turns every run into task
// events. The scripts that log to MLflow need no change and do not notice.
//
// One poll costs as much as there are changes (see README.md): a gate that asks the database whether anything changed, the
// tails of what was inserted, a look at the runs that are still open, and a sweep over the others, because MLflow keeps
// no time of change. Touched runs are read whole and sent when their content is new.
package mlflowreceiver
